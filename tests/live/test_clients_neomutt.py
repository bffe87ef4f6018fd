"""neomutt in a terminal, driven by keys, as a person works: open, read, delete, move, a new folder, new mail."""

from __future__ import annotations

import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .foreign import Reader, need, until

CONFIG = """
set folder = "imaps://{host}:{port}/"
set spoolfile = "+INBOX"
set imap_user = "{account}"
set imap_pass = "{password}"
set ssl_ca_certificates_file = "{ca}"
set ssl_verify_host = no
set certificate_file = "{home}/certificates"
set header_cache = "{home}/headers"
set message_cachedir = "{home}/bodies"
set imap_idle = yes
set imap_condstore = yes
set imap_qresync = yes
set timeout = 1
set mail_check = 1
set sleep_time = 0
set beep = no
set confirmappend = no
set confirmcreate = no
set delete = yes
set move = no
set wait_key = no
set pager_stop = yes
set sort = date-received
set record = "+Sent"
set sidebar_visible = no
set index_format = "%C %S %s"
set status_format = "[%f %m messages %n new %d deleted]"
mailboxes +INBOX
"""


class Screen:
    """neomutt in a tmux of its own: keys in, the screen out."""

    def __init__(self, reader: Reader, folder: Path) -> None:
        self.tmux = (need("tmux"), "-L", f"mail-{secrets.token_hex(4)}", "-f", "/dev/null")
        self.host = reader.host.sandbox
        config = folder / "neomuttrc"
        config.write_text(
            CONFIG.format(
                host=reader.host.address,
                port=reader.host.ports["imaps"],
                account=reader.account,
                password=reader.password,
                ca=reader.host.sandbox.ca_file,
                home=folder,
            )
        )
        config.chmod(0o600)
        command = [
            "env",
            f"HOME={folder}",
            "LC_ALL=C.UTF-8",
            "TERM=screen",
            need("neomutt"),
            "-n",
            "-F",
            config,
        ]
        self.say("new-session", "-d", "-x", "110", "-y", "30", *map(str, command))

    def say(self, *words: str) -> str:
        done = subprocess.run([*self.tmux, *words], capture_output=True, text=True, timeout=10, check=True)
        return done.stdout

    def keys(self, *keys: str) -> None:
        self.say("send-keys", *keys)

    def text(self) -> str:
        return self.say("capture-pane", "-p")

    def shows(self, *texts: str, timeout_s: float = 15) -> None:
        end = time.monotonic() + timeout_s
        while not all(text in (seen := self.text()) for text in texts):
            assert time.monotonic() < end, (
                f"not on the screen: {texts}\n{seen.strip()}\n{self.host.last_words()}"
            )
            time.sleep(0.05)

    def ended(self) -> bool:
        command = [*self.tmux, "has-session"]
        return subprocess.run(command, capture_output=True, check=False, timeout=10).returncode != 0

    def close(self) -> None:
        subprocess.run([*self.tmux, "kill-server"], capture_output=True, check=False, timeout=10)


@pytest.fixture
def screen(reader: Reader, tmp_path: Path) -> Iterator[Screen]:
    reader.put(letter(f"letter {number}", f"text of {number}") for number in range(1, 6))
    screen = Screen(reader, tmp_path)
    try:
        yield screen
    finally:
        screen.close()


def letter(subject: str, text: str) -> bytes:
    return f"From: carol@elsewhere.example\r\nTo: you@example.org\r\nSubject: {subject}\r\n\r\n{text}\r\n".encode()


def flags(reader: Reader, mailbox: str = "INBOX") -> dict[str, bytes]:
    """The flags by subject."""
    client = reader.imap()
    client.select(mailbox, readonly=True)
    _, data = client.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    client.logout()
    found = [item for item in data if isinstance(item, tuple)]
    return {text.strip().removeprefix(b"Subject: ").decode(): head for head, text in found}


def test_neomutt_reads_deletes_files_and_sees_new_mail(reader: Reader, screen: Screen) -> None:
    screen.shows("5 messages", "letter 1", "letter 5")
    screen.keys("1", "Enter", "Enter")
    screen.shows("text of 1")
    screen.keys("q")
    screen.shows("5 messages")

    screen.keys("2", "Enter", "d")
    screen.shows("1 deleted")
    screen.keys("$")
    screen.shows("4 messages")
    until(lambda: reader.count() == 4, "the letter is deleted")
    seen = flags(reader)
    assert sorted(seen) == ["letter 1", "letter 3", "letter 4", "letter 5"]
    assert b"\\Seen" in seen["letter 1"]
    assert b"\\Seen" not in seen["letter 3"]

    screen.keys("2", "Enter", "s", "C-u", "=Filed/2026", "Enter")
    screen.shows("1 deleted")
    screen.keys("$")
    screen.shows("3 messages")
    until(lambda: reader.count("Filed/2026") == 1, "the letter is filed")
    assert list(flags(reader, "Filed/2026")) == ["letter 3"]

    reader.receive(letter("brand new", "just came"))
    screen.shows("brand new", "4 messages")
    screen.keys("*", "Enter")
    screen.shows("just came")
    screen.keys("q", "w", "!")  # the flag "important"
    screen.keys("$")

    screen.keys("c", "C-u", "=Filed/2026", "Enter")
    screen.shows("Filed/2026 1 messages", "letter 3")
    screen.keys("c", "C-u", "=INBOX", "Enter")
    screen.shows("4 messages", "brand new")
    seen = flags(reader)
    assert b"\\Seen" in seen["brand new"]
    assert b"\\Flagged" in seen["brand new"]
    screen.keys("q")
    until(screen.ended, "neomutt ends")
