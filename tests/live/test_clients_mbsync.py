"""mbsync between the daemon and a Maildir: all real letters, both ways, and then every kind of change."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from pathlib import Path

import pytest

from tests import corpus

from .foreign import Reader, need, need_corpus, run

pytestmark = pytest.mark.timeout(300)

SYNC_S = 60
"""The promise for a first sync of 6,046 letters, on a machine that has nothing else to do."""

CONFIG = """
FSync no

IMAPAccount host
Host {host}
Port {port}
User {account}
Pass "{password}"
SSLType IMAPS
CertificateFile {ca}
PipelineDepth 50

IMAPStore far
Account host

MaildirStore near
Path {mail}/
Inbox {mail}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns INBOX
Create Both
Expunge Both
Sync All
SyncState *
"""

TUID = re.compile(rb"X-TUID: .{12}\n")
"""mbsync's own field, by which it finds a letter again."""


class Maildir:
    """The near side, and the program that makes the two sides one."""

    def __init__(self, reader: Reader, folder: Path) -> None:
        self.program = need("mbsync")
        self.folder = folder / "mail" / "INBOX"
        for part in ("cur", "new", "tmp"):
            (self.folder / part).mkdir(parents=True)
        self.config = folder / "mbsyncrc"
        self.config.write_text(
            CONFIG.format(
                host=reader.host.address,
                port=reader.host.ports["imaps"],
                account=reader.account,
                password=reader.password,
                ca=reader.host.sandbox.ca_file,
                mail=folder / "mail",
            )
        )
        self.config.chmod(0o600)

    def put(self, number: int, letter: bytes) -> None:
        (self.folder / "cur" / f"{number}.here:2,").write_bytes(letter.replace(b"\r\n", b"\n"))

    def sync(self) -> float:
        began = time.monotonic()
        run(self.program, "-c", self.config, "-a", timeout_s=2 * SYNC_S)
        return time.monotonic() - began

    def files(self) -> list[Path]:
        return sorted(file for part in ("cur", "new") for file in (self.folder / part).iterdir())

    def names(self) -> list[str]:
        return [file.name for file in self.files()]

    def letters(self) -> Counter[bytes]:
        return Counter(TUID.sub(b"", file.read_bytes()) for file in self.files())


def as_file(letter: bytes) -> bytes:
    return TUID.sub(b"", letter.replace(b"\r\n", b"\n"))


def test_six_thousand_letters_sync_both_ways_and_every_change_follows(reader: Reader, tmp_path: Path) -> None:
    need_corpus()
    near = Maildir(reader, tmp_path)
    letters = [letter for _, letter in corpus.letters()]
    assert len(letters) > 6_000
    half = len(letters) // 2
    reader.put(letters[:half])
    for number, letter in enumerate(letters[half:]):
        near.put(number, letter)

    took_s = near.sync()
    print(f"{len(letters)} letters in {took_s:.1f} s")
    assert took_s < SYNC_S * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    wanted = Counter(as_file(letter) for letter in letters)
    assert near.letters() == wanted
    assert Counter(as_file(letter) for letter in reader.bodies().values()) == wanted

    state, names = reader.state(), near.names()
    took_s = near.sync()
    print(f"and {took_s:.1f} s when nothing changed")
    assert (reader.state(), near.names()) == (state, names)

    changes(reader, near, len(letters))


def changes(reader: Reader, near: Maildir, count: int) -> None:
    """Flags and deletions on both sides at once."""
    client = reader.imap()
    client.select()
    uids = client.uid("SEARCH", "ALL")[1][0].decode().split()
    client.uid("STORE", f"{uids[0]}:{uids[9]}", "+FLAGS", r"(\Flagged \Seen)")
    client.uid("STORE", ",".join(uids[20:30]), "+FLAGS", r"(\Deleted)")
    client.expunge()
    client.logout()
    own = [file for file in near.files() if ".here" in file.name]
    for file in own[:10]:
        file.rename(file.with_name(file.name.partition(":2,")[0] + ":2,RS"))
    for file in own[20:30]:
        file.unlink()

    near.sync()
    flags = Counter(name.partition(":2,")[2] for name in near.names())
    assert flags == {"FS": 10, "RS": 10, "": count - 40}
    client = reader.imap()
    client.select(readonly=True)
    assert len(client.search(None, "FLAGGED SEEN")[1][0].split()) == 10
    assert len(client.search(None, "ANSWERED SEEN")[1][0].split()) == 10
    assert len(client.search(None, "UNSEEN")[1][0].split()) == count - 40
    client.logout()
    assert Counter(map(as_file, reader.bodies().values())) == near.letters()

    state, names = reader.state(), near.names()
    near.sync()
    assert (reader.state(), near.names()) == (state, names)
