"""The programs for the host, run here: this machine is a host too."""

from __future__ import annotations

import ast
import base64
import contextlib
import grp
import json
import os
import pwd
import shutil
import socket
import sqlite3
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from mailserver_py.mailstore.embedded.schema import ACCOUNT_VERSION, SITE_VERSION
from mailserver_py.provision.onhost import program
from mailserver_py.provision.release import SCHEMA_SOURCE
from mailserver_py.provision.seen import parse_seen
from mailserver_py.provision.texts import CHECKOUT

USER, GROUP = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name


def _run(script: str, stdin: str = "") -> str:
    done = subprocess.run(
        ["sh", "-c", script], input=stdin, capture_output=True, text=True, check=False, timeout=20
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _apply(*items: dict[str, Any]) -> None:
    _run(program("apply.py"), json.dumps([{"owner": USER, "group": GROUP, **item} for item in items]))


def _file(path: Path, content: bytes, mode: int = 0o600) -> dict[str, Any]:
    return {"path": str(path), "kind": "file", "mode": mode, "content": base64.b64encode(content).decode()}


def test_apply_writes_content_and_mode(tmp_path: Path) -> None:
    _apply(_file(tmp_path / "a", b"\x00\xff", 0o640))
    assert (tmp_path / "a").read_bytes() == b"\x00\xff"
    assert (tmp_path / "a").stat().st_mode & 0o7777 == 0o640


def test_apply_mends_what_a_killed_run_left_beside(tmp_path: Path) -> None:
    (tmp_path / "a.new").write_bytes(b"half")
    (tmp_path / "a.new").chmod(0o644)
    _apply(_file(tmp_path / "a", b"whole"))
    assert (tmp_path / "a").read_bytes() == b"whole"
    assert (tmp_path / "a").stat().st_mode & 0o7777 == 0o600
    assert not (tmp_path / "a.new").exists()


def test_apply_never_writes_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"safe")
    (tmp_path / "a").symlink_to(tmp_path / "victim")
    (tmp_path / "a.new").symlink_to(tmp_path / "victim")
    _apply(_file(tmp_path / "a", b"secret"))
    assert (tmp_path / "victim").read_bytes() == b"safe"
    assert not (tmp_path / "a").is_symlink()


def test_apply_swaps_links_and_removes_trees(tmp_path: Path) -> None:
    (tmp_path / "old" / "deep").mkdir(parents=True)
    (tmp_path / "current").symlink_to("old")
    _apply(
        {"path": str(tmp_path / "new"), "kind": "directory", "mode": 0o755},
        {"path": str(tmp_path / "current"), "kind": "link", "target": "new"},
        {"path": str(tmp_path / "old"), "kind": "absent"},
    )
    assert (tmp_path / "current").readlink() == Path("new")
    assert not (tmp_path / "old").exists()


def test_the_probe_sees_files_links_users_and_who_listens(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "b").symlink_to("a")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        asked = {"trees": [f"{tmp_path}/*"], "packages": ["dpkg"], "ports": [port], "tls": str(tmp_path)}
        asked |= {"releases": str(tmp_path), "state": str(tmp_path)}
        seen = parse_seen(json.loads(_run(program("probe.py", json.dumps(asked)))))
    assert seen.entries[f"{tmp_path}/a"].digest.startswith("e3b0c442")
    assert seen.entries[f"{tmp_path}/b"].target == "a"
    assert seen.users["root"].uid == 0
    assert seen.python >= (3, 11)
    if os.getuid() == 0:
        assert {holder.pid for holder in seen.holders if holder.port == port} == {os.getpid()}


@pytest.mark.skipif(os.getuid() != 0, reason="other users' processes are not to be seen")
def test_the_probe_tells_public_listeners_from_those_of_the_loopback(tmp_path: Path) -> None:
    asked = {
        "trees": [],
        "packages": ["dpkg"],
        "ports": [],
        "tls": "",
        "releases": "",
        "state": str(tmp_path),
    }
    with contextlib.ExitStack() as stack:
        ports = {}
        for family, kind, address in (
            (socket.AF_INET, socket.SOCK_STREAM, "127.0.0.1"),
            (socket.AF_INET, socket.SOCK_DGRAM, "127.0.0.1"),
            (socket.AF_INET6, socket.SOCK_STREAM, "::1"),
            (socket.AF_INET6, socket.SOCK_STREAM, "::ffff:127.0.0.1"),
            (socket.AF_INET, socket.SOCK_STREAM, "0.0.0.0"),
            (socket.AF_INET6, socket.SOCK_DGRAM, "::"),
        ):
            sock = stack.enter_context(socket.socket(family, kind))
            sock.bind((address, 0))
            if kind == socket.SOCK_STREAM:
                sock.listen()
            ports[sock.getsockname()[1]] = (address, "tcp" if kind == socket.SOCK_STREAM else "udp")
        seen = parse_seen(json.loads(_run(program("probe.py", json.dumps(asked)))))
    found = {(ports[holder.port][0], holder.protocol) for holder in seen.public if holder.pid == os.getpid()}
    assert found == {("0.0.0.0", "tcp"), ("::", "udp")}
    assert seen.holders == ()


def test_the_probe_sees_which_forms_of_the_store_each_release_knows_and_the_store_has(tmp_path: Path) -> None:
    said, silent = tmp_path / "releases/said", tmp_path / "releases/silent"
    said.mkdir(parents=True)
    (said / "about.json").write_text('{"schema": {"account": 7, "site": 2}}')
    module = silent / "lib/python3.11/site-packages" / SCHEMA_SOURCE
    module.parent.mkdir(parents=True)
    shutil.copyfile(CHECKOUT / SCHEMA_SOURCE, module)
    for path, version in (("site.db", 1), ("accounts/a/index.db", 3), ("accounts/b/index.db", 2)):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(tmp_path / path)) as db:
            db.execute(f"PRAGMA user_version = {version}")
    asked = {"trees": [], "packages": ["dpkg"], "ports": [], "tls": str(tmp_path)}
    asked |= {"releases": str(tmp_path / "releases"), "state": str(tmp_path)}
    seen = parse_seen(json.loads(_run(program("probe.py", json.dumps(asked)))))
    assert seen.schemas["said"] == {"site": 2, "account": 7}
    assert seen.schemas["silent"] == {"site": SITE_VERSION, "account": ACCOUNT_VERSION}
    assert seen.stored == {"site": 1, "account": 3}


def test_the_programs_keep_to_the_grammar_of_an_old_debian() -> None:
    folder = Path(__file__).parents[2] / "mailserver_py/provision/onhost"
    for file in folder.glob("*.py"):
        ast.parse(file.read_text(), feature_version=(3, 9))


def _listening(tmp_path: Path, *listeners: dict[str, Any]) -> dict[str, Any]:
    asked = {
        "listeners": [{"implicit_tls": False, **row} for row in listeners],
        "units": [],
        "hostname": "localhost",
        "tls": str(tmp_path),
        "patience_s": 0,
    }
    answer = json.loads(_run(program("listening.py", json.dumps(asked))))
    return dict(answer["troubles"])


def _greeting(text: bytes) -> int:
    server = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        connection, _ = server.accept()
        with connection, server:
            connection.sendall(text)

    threading.Thread(target=answer, daemon=True).start()
    return int(server.getsockname()[1])


@pytest.mark.parametrize(
    ("protocol", "greeting", "trouble"),
    [
        ("smtp", b"421 busy\r\n", "greets with b'421 busy'"),
        ("imap", b"* BYE\r\n", "greets with b'* BYE'"),
        ("pop3", b"", "closed the connection"),
        ("http", b"HTTP/1.1 200 OK\r\n", "answers b'HTTP/1.1 200 OK', not 404"),
    ],
)
def test_the_gate_names_a_listener_that_does_not_speak_its_protocol(
    tmp_path: Path, protocol: str, greeting: bytes, trouble: str
) -> None:
    row = {"name": "door", "port": _greeting(greeting), "protocol": protocol}
    assert trouble in _listening(tmp_path, row)["door"]


def test_the_gate_names_a_closed_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert "refused" in _listening(tmp_path, {"name": "smtp", "port": port, "protocol": "smtp"})["smtp"]


def test_the_gate_is_open_when_all_is_well(tmp_path: Path) -> None:
    row = {"name": "http", "port": _greeting(b"HTTP/1.1 404 Not Found\r\n"), "protocol": "http"}
    assert _listening(tmp_path, row) == {}
