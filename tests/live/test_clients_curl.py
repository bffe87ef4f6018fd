"""curl as a mail client: IMAPS, POP3S and SMTPS, each verb that its manual names."""

from __future__ import annotations

from pathlib import Path

import pytest

from .foreign import Reader, need, run

LETTER = b"From: <a@elsewhere.example>\r\nSubject: one\r\n\r\n.leading dot\r\n..two\r\n.\r\nend\r\n"


class Curl:
    """curl with the account's netrc, verifying the host's certificate by its name."""

    def __init__(self, reader: Reader, folder: Path) -> None:
        self.program = need("curl")
        self.reader = reader
        self.folder = folder
        netrc = folder / "netrc"
        netrc.write_text(
            f'machine {reader.host.name} login {reader.account} password "{reader.password}"\n',
            encoding="utf-8",
        )
        netrc.chmod(0o600)

    def __call__(self, door: str, path: str, *options: str | Path) -> bytes:
        host = self.reader.host
        port = host.ports[door]
        scheme = {"submissions": "smtps", "submission": "smtp"}.get(door, door)
        url = f"{scheme}://{host.name}:{port}/{path}"
        run(
            self.program, "-sS", url, "--output", "out", "--netrc-file", "netrc", "--cacert", host.sandbox.ca_file,
            "--resolve", f"{host.name}:{port}:{host.address}", "--ssl-reqd", *options, cwd=self.folder,
        )  # fmt: skip
        out = self.folder / "out"
        said = out.read_bytes() if out.exists() else b""
        out.unlink(missing_ok=True)
        return said


@pytest.fixture
def curl(reader: Reader, tmp_path: Path) -> Curl:
    (tmp_path / "letter").write_bytes(LETTER)
    return Curl(reader, tmp_path)


@pytest.mark.parametrize("door", ["imaps", "imap"])
def test_curl_keeps_a_mailbox(curl: Curl, door: str) -> None:
    curl(door, "", "-X", "CREATE Post/Box")
    assert b'"/" Post/Box' in curl(door, "")
    assert b"Post/Box" in curl(door, "Post")
    for _ in range(2):
        curl(door, "Post%2FBox", "-T", "letter")
    assert b"MESSAGES 2" in curl(door, "", "-X", "STATUS Post/Box (MESSAGES UNSEEN)")
    assert curl(door, "Post%2FBox?SUBJECT%20one") == b"* SEARCH 1 2\r\n"
    assert curl(door, "Post%2FBox?NEW") == b"* SEARCH\r\n"  # \Recent is never set here
    assert curl(door, "Post%2FBox;UID=2") == LETTER
    assert curl(door, "Post%2FBox;MAILINDEX=1") == LETTER
    assert curl(door, "Post%2FBox;UID=1;SECTION=HEADER.FIELDS%20(SUBJECT)") == b"Subject: one\r\n\r\n"
    assert b"FLAGS (" in curl(door, "Post%2FBox", "-X", "FETCH 1:2 (UID FLAGS)")
    curl(door, "Post%2FBox", "-X", r"STORE 1 +FLAGS.SILENT (\Deleted)")
    curl(door, "Post%2FBox", "-X", "EXPUNGE")
    assert b"EXISTS" in curl(door, "", "-X", "EXAMINE Post/Box")
    assert curl(door, "Post%2FBox?ALL") == b"* SEARCH 1\r\n"
    curl(door, "", "-X", "DELETE Post/Box")


@pytest.mark.parametrize("door", ["pop3s", "pop3"])
def test_curl_reads_and_deletes_by_pop3(curl: Curl, door: str) -> None:
    curl.reader.put([LETTER] * 3)
    size = len(LETTER)
    assert curl(door, "") == b"".join(b"%d %d\r\n" % (number, size) for number in (1, 2, 3))
    assert curl(door, "2") == LETTER
    assert len(curl(door, "", "-X", "UIDL").splitlines()) == 3
    assert curl(door, "", "-X", "TOP 1 0").endswith(b"\r\n\r\n")
    curl(door, "3", "--list-only")
    curl(door, "2", "-X", "DELE", "-I")
    assert len(curl(door, "").splitlines()) == 2


@pytest.mark.parametrize("door", ["submissions", "submission"])
def test_curl_sends(curl: Curl, door: str) -> None:
    own = curl.reader.account
    letter = b"From: <%b>\r\nTo: <%b>\r\nSubject: by curl\r\n\r\n.dot\r\n" % (own.encode(), own.encode())
    (curl.folder / "own").write_bytes(letter)
    curl(door, "client.example", "--mail-from", own, "--mail-rcpt", own, "-T", "own")
    kept = b"".join(curl.reader.bodies().values())
    assert kept.endswith(b"\r\n\r\n.dot\r\n")
    assert b"DKIM-Signature" in kept
