"""fetchmail, as people run it from cron: "download and delete" and "leave on server", by POP3 and IMAP."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from .foreign import Reader, need, real_letters, run

NOTHING_NEW = 1
"""fetchmail's exit status when there was no mail to fetch."""

DELIVERY = """#!/bin/sh
exec cat > "$(mktemp {inbox}/XXXXXXXX)"
"""


class Fetchmail:
    """One account's fetchmail and what it has brought."""

    def __init__(self, reader: Reader, folder: Path, protocol: str, options: str) -> None:
        self.program = need("fetchmail")
        self.folder = folder
        self.inbox = folder / "inbox"
        self.inbox.mkdir()
        delivery = folder / "deliver"
        delivery.write_text(DELIVERY.format(inbox=self.inbox))
        delivery.chmod(0o700)
        port = reader.host.ports["pop3s" if protocol == "pop3" else "imaps"]
        self.config = folder / "fetchmailrc"
        self.config.write_text(f"""
set invisible
poll {reader.host.address} service {port} protocol {protocol} {"uidl" if "uidl" in options else ""}
    user "{reader.account}" password "{reader.password}"
    ssl sslcertck sslcertfile "{reader.host.sandbox.ca_file}" sslcommonname "{reader.host.name}"
    no rewrite mda "{delivery}" {options.removesuffix("uidl")}
""")
        self.config.chmod(0o600)

    def fetch(self, code: int = 0) -> None:
        home = {"FETCHMAILHOME": str(self.folder), "HOME": str(self.folder), "LC_ALL": "C"}
        run(self.program, "-f", self.config, "-v", codes=(code,), environment=home)

    def letters(self) -> Counter[bytes]:
        return Counter(file.read_bytes() for file in self.inbox.iterdir())


def brought(letters: list[bytes]) -> Counter[bytes]:
    return Counter(letter.replace(b"\r\n", b"\n") for letter in letters)


@pytest.mark.parametrize("protocol", ["pop3", "imap"])
def test_download_and_delete_leaves_nothing_behind(reader: Reader, tmp_path: Path, protocol: str) -> None:
    letters = real_letters(40)
    fetchmail = Fetchmail(reader, tmp_path, protocol, "no keep fetchall")
    reader.put(letters)
    fetchmail.fetch()
    assert fetchmail.letters() == brought(letters)
    assert reader.count() == 0
    fetchmail.fetch(NOTHING_NEW)
    reader.put(letters[:1])
    fetchmail.fetch()
    assert fetchmail.letters().total() == len(letters) + 1


@pytest.mark.parametrize(("protocol", "options"), [("pop3", "keep uidl"), ("imap", "keep")])
def test_leave_on_server_fetches_each_letter_once(
    reader: Reader, tmp_path: Path, protocol: str, options: str
) -> None:
    letters = real_letters(40)
    fetchmail = Fetchmail(reader, tmp_path, protocol, options)
    reader.put(letters[:-1])
    fetchmail.fetch()
    assert fetchmail.letters() == brought(letters[:-1])
    assert reader.count() == len(letters) - 1
    fetchmail.fetch(NOTHING_NEW)
    reader.put(letters[-1:])
    fetchmail.fetch()
    fetchmail.fetch(NOTHING_NEW)
    assert fetchmail.letters() == brought(letters)
    assert reader.count() == len(letters)
