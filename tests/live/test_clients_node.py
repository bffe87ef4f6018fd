"""imapflow and node-pop3 from npm: the clients of web mailers and of scripts in JavaScript."""

from __future__ import annotations

import json
from pathlib import Path

from .foreign import NODE_MODULES, Reader, need_node, run

SCRIPTS = Path(__file__).parent / "node"


def run_script(package: str, script: str, reader: Reader, door: str, **more: object) -> str:
    node = need_node(package)
    host = reader.host
    about = {
        "host": host.address,
        "name": host.name,
        "port": host.ports[door],
        "ca": str(host.sandbox.ca_file),
        "account": reader.account,
        "password": reader.password,
        **more,
    }
    environment = {"CLIENTS": str(NODE_MODULES.parent), "READER": json.dumps(about)}
    return run(node, SCRIPTS / script, environment=environment, timeout_s=45)


def test_imapflow_works_with_all_extensions_that_it_finds(reader: Reader) -> None:
    print(run_script("imapflow", "imapflow.mjs", reader, "imaps"))


def test_node_pop3_lists_reads_and_deletes(reader: Reader) -> None:
    letters = [
        b"From: <a@elsewhere.example>\r\nSubject: %d\r\n\r\n%b\r\n" % (number, b"line\r\n" * number * 4_000)
        for number in (0, 1, 2)
    ]
    reader.put(letters)
    sizes = [len(letter) for letter in letters]
    run_script("node-pop3", "pop3.mjs", reader, "pop3s", sizes=sizes)
    assert list(reader.bodies().values()) == [letters[0], letters[2]]
