"""IMAP with clients that others wrote: imaplib, mbsync and curl against the running daemon."""

from __future__ import annotations

import imaplib
import re
import subprocess
from pathlib import Path

import pytest

from tests.imap.letters import LETTERS

from .conftest import PASSWORD, Host
from .foreign import need

ALICE = "alice@example.org"

WHOLE = {
    name: letter.removesuffix(b"\r\n") + b"\r\n"
    for name, letter in LETTERS.items()
    if name not in ("bare", "empty")
}
"""Letters that end as clients on files end them."""


def answer(result: tuple[str, list[object]]) -> list[object]:
    status, data = result
    assert status == "OK", data
    return data


@pytest.fixture
def client(host: Host) -> imaplib.IMAP4_SSL:
    return host.imap(ALICE)


def test_imaplib_finds_everything_it_knows(client: imaplib.IMAP4_SSL) -> None:
    with client:
        assert {"IMAP4REV1", "IDLE", "UIDPLUS", "MOVE"} <= set(client.capabilities)
        answer(client.create("Tour/Entw&APw-rfe"))
        assert any(b"Tour/Entw&APw-rfe" in bytes(line) for line in answer(client.list()))
        answer(client.subscribe("Tour"))
        assert any(b"Tour" in bytes(line) for line in answer(client.lsub()))
        for name, letter in WHOLE.items():
            answer(client.append("Tour", r"(\Flagged)", '"17-Jul-1996 02:44:25 -0700"', letter))
            assert client.response("APPENDUID")[1][-1] is not None, name
        answer(client.select("Tour"))
        found = answer(client.search(None, "FLAGGED", "SUBJECT", "tiny"))
        number = bytes(found[0]).split()[0].decode()
        data = answer(client.fetch(number, "(UID FLAGS INTERNALDATE RFC822.SIZE BODY[])"))
        assert data[0][1] == LETTERS["tiny"]
        assert b'INTERNALDATE "17-Jul-1996 09:44:25 +0000"' in data[0][0]
        answer(client.store(number, "+FLAGS", r"(\Deleted $Label1)"))
        answer(client.copy(number, "Trash"))
        assert answer(client.expunge()) == [number.encode()]
        assert b"MESSAGES 2" in bytes(answer(client.status("Tour", "(MESSAGES UIDNEXT UNSEEN)"))[0])
        answer(client.namespace())
        answer(client.getquotaroot("INBOX"))
        answer(client.close())
        answer(client.rename("Tour", "Toured"))
        answer(client.delete("Toured/Entw&APw-rfe"))
        answer(client.delete("Toured"))


def test_imaplib_enables_utf8(client: imaplib.IMAP4_SSL) -> None:
    with client:
        answer(client.enable("UTF8=ACCEPT"))
        answer(client.create('"Größe"'))
        assert any("Größe" in bytes(line).decode() for line in answer(client.list()))
        answer(client.append('"Größe"', None, None, LETTERS["plain"] + b"\r\n"))
        answer(client.delete('"Größe"'))


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.clients
def test_mbsync_syncs_both_ways_and_then_changes_nothing(
    host: Host, client: imaplib.IMAP4_SSL, tmp_path: Path
) -> None:
    with client:
        answer(client.create("Synced"))
        for letter in WHOLE.values():
            answer(client.append("Synced", None, None, letter))
        (tmp_path / "mail").mkdir()
        config = tmp_path / "mbsyncrc"
        config.write_text(
            f"""
IMAPAccount host
Host {host.address}
Port {host.ports["imaps"]}
User {ALICE}
Pass "{PASSWORD}"
SSLType IMAPS
CertificateFile {host.sandbox.ca_file}

IMAPStore far
Account host

MaildirStore near
Path {tmp_path}/mail/
Inbox {tmp_path}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns Synced
Create Both
Expunge Both
SyncState *
""",
            encoding="utf-8",
        )
        config.chmod(0o600)
        run(need("mbsync"), "-c", str(config), "-a", cwd=tmp_path)
        folder = tmp_path / "mail" / "Synced"
        files = [file for part in ("cur", "new") for file in (folder / part).iterdir()]
        assert len(files) == len(WHOLE)
        # mbsync writes LF to disk, and a header field of its own to recognise letters by.
        assert {re.sub(rb"X-TUID: .*\n", b"", file.read_bytes()) for file in files} == {
            letter.replace(b"\r\n", b"\n") for letter in WHOLE.values()
        }
        (folder / "new" / "1.local").write_bytes(b"From: a@b.test\nSubject: from here\n\nup\n")
        answer(client.select("Synced"))
        answer(client.store("1", "+FLAGS", r"(\Seen \Flagged)"))
        answer(client.select("INBOX"))
        run(need("mbsync"), "-c", str(config), "-a", cwd=tmp_path)
        assert any(file.name.endswith(":2,FS") for file in (folder / "cur").iterdir())
        before = answer(client.status("Synced", "(MESSAGES UIDNEXT HIGHESTMODSEQ)"))
        assert b"MESSAGES 4" in bytes(before[0])
        names = sorted(
            file.name for file in folder.rglob("*") if file.is_file() and "mbsync" not in file.name
        )
        run(need("mbsync"), "-c", str(config), "-a", cwd=tmp_path)
        assert answer(client.status("Synced", "(MESSAGES UIDNEXT HIGHESTMODSEQ)")) == before
        assert names == sorted(
            file.name for file in folder.rglob("*") if file.is_file() and "mbsync" not in file.name
        )
        answer(client.delete("Synced"))


@pytest.mark.clients
def test_curl_uploads_lists_and_reads(host: Host, client: imaplib.IMAP4_SSL, tmp_path: Path) -> None:
    with client:
        answer(client.create("Curl"))
        url = f"imaps://{host.address}:{host.ports['imaps']}"
        (tmp_path / "netrc").write_text(
            f'machine {host.address} login {ALICE} password "{PASSWORD}"\n', encoding="utf-8"
        )
        (tmp_path / "letter").write_bytes(LETTERS["tiny"])
        curl = (need("curl"), "-sS", "--netrc-file", "netrc", "--cacert", str(host.sandbox.ca_file), "-k")
        run(*curl, f"{url}/Curl", "-T", "letter", cwd=tmp_path)
        assert "Curl" in run(*curl, url + "/", cwd=tmp_path)
        assert run(*curl, f"{url}/Curl?SUBJECT%20tiny", cwd=tmp_path).split() == ["*", "SEARCH", "1"]
        run(*curl, f"{url}/Curl;UID=1", "-o", "back", cwd=tmp_path)
        assert (tmp_path / "back").read_bytes() == LETTERS["tiny"]
        answer(client.delete("Curl"))
