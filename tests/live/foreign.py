"""What the tests with foreign clients share: programs that must be there, readers, and letters in bulk."""

from __future__ import annotations

import imaplib
import os
import poplib
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import corpus

if TYPE_CHECKING:
    from .conftest import Host

NODE_MODULES = Path(__file__).parents[2] / "build" / "clients" / "node_modules"
"""Where `make test-packages` puts what tests/live/node/package.json names."""

APPEND_COUNT = 100
"""Letters in one APPEND."""


def miss(what: str) -> None:
    """Skips for want of something; where CI promises that all is there, fails."""
    reason = f"{what} is not here: `make test-packages corpus` brings it"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def need(program: str) -> str:
    """The program's path, or no test."""
    path = shutil.which(program)
    if path is None:
        miss(program)
    return str(path)


def need_node(package: str) -> str:
    """Node's path, where the package is installed, or no test."""
    if not (NODE_MODULES / package / "package.json").exists():
        miss(f"the npm package {package}")
    return need("node")


def need_corpus() -> None:
    """Real letters, or no test."""
    if not corpus.FOLDER.is_dir():
        miss("the corpus")


def real_letters(count: int) -> list[bytes]:
    """Some real letters, spread over the corpus, or no test."""
    need_corpus()
    found = [letter for _, letter in corpus.letters(len(corpus.files()) // count)]
    return found[:count]


def run(
    *command: str | Path,
    cwd: Path | None = None,
    codes: Sequence[int] = (0,),
    timeout_s: float = 60,
    environment: Mapping[str, str] | None = None,
) -> str:
    """What the program wrote, if it ended with one of the codes."""
    done = subprocess.run(
        command,
        cwd=cwd,
        capture_output=True,
        timeout=timeout_s,
        check=False,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
    )
    out, errors = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    assert done.returncode in codes, (
        f"{command[0]} ended with {done.returncode}\n{out[-4_000:]}\n{errors[-4_000:]}"
    )
    return out


def until(condition: Callable[[], bool], what: str, timeout_s: float = 10) -> None:
    """Waits for what has to come true."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.03)


@dataclass(frozen=True)
class Reader:
    """One account of the town's host, nobody else's."""

    host: Host
    account: str
    password: str

    def imap(self) -> imaplib.IMAP4_SSL:
        return self.host.imap(self.account)

    def pop3(self) -> poplib.POP3_SSL:
        client = poplib.POP3_SSL(self.host.address, self.host.ports["pop3s"], context=self.host.context)
        client.user(self.account)
        client.pass_(self.password)
        return client

    def receive(self, letter: bytes, sender: str = "carol@elsewhere.example") -> None:
        """A letter from a stranger, by SMTP; in the inbox when this returns."""
        before = self.count()
        with self.host.smtp() as client:
            client.sendmail(sender, [self.account], letter, mail_options=["BODY=8BITMIME"])
        until(lambda: self.count() > before, "the letter came in")

    def count(self, mailbox: str = "INBOX") -> int:
        client = self.imap()
        try:
            status, data = client.select(quoted(mailbox), readonly=True)
            assert status == "OK", data
            return int(data[0])
        finally:
            client.logout()

    def state(self, mailbox: str = "INBOX") -> bytes:
        """Changes when anything in the mailbox changes."""
        client = self.imap()
        try:
            _, (line,) = client.status(quoted(mailbox), "(MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ)")
            return bytes(line)
        finally:
            client.logout()

    def put(self, letters: Iterable[bytes], mailbox: str = "INBOX") -> int:
        """Many letters by APPEND, a hundred in a command, without waiting for `+`; how many."""
        client = Wire(self)
        count = 0
        batch: list[bytes] = []
        for letter in letters:
            batch.append(b" {%d+}\r\n%b" % (len(letter), letter))
            count += 1
            if len(batch) == APPEND_COUNT:
                client.ask(b'APPEND "%b"%b' % (mailbox.encode(), b"".join(batch)))
                batch.clear()
        if batch:
            client.ask(b'APPEND "%b"%b' % (mailbox.encode(), b"".join(batch)))
        client.close()
        return count

    def bodies(self, mailbox: str = "INBOX") -> dict[int, bytes]:
        """All letters by UID, whole, in one FETCH."""
        client = self.imap()
        try:
            client.select(quoted(mailbox), readonly=True)
            status, data = client.uid("FETCH", "1:*", "(BODY.PEEK[])")
            assert status == "OK", data
            found = [item for item in data if isinstance(item, tuple)]
            return {int(head.partition(b"UID ")[2].split()[0]): body for head, body in found}
        finally:
            client.logout()


class Wire:
    """A bare IMAP connection, for what no library says."""

    def __init__(self, reader: Reader, *, timeout_s: float = 30) -> None:
        raw = socket.create_connection((reader.host.address, reader.host.ports["imaps"]), timeout_s)
        self.socket: ssl.SSLSocket = reader.host.context.wrap_socket(raw)
        self.rest = b""
        self.number = 0
        self.until(b"* OK")
        self.ask(b'LOGIN %b "%b"' % (reader.account.encode(), reader.password.encode()))

    def send(self, line: bytes) -> bytes:
        """Sends a command; its tag."""
        self.number += 1
        tag = b"w%d" % self.number
        self.socket.sendall(tag + b" " + line + b"\r\n")
        return tag

    def until(self, token: bytes) -> bytes:
        """What came up to and with the line that has the token."""
        at = 0
        while (found := self.rest.find(token, at)) < 0 or self.rest.find(b"\r\n", found) < 0:
            at = max(0, len(self.rest) - len(token)) if found < 0 else found
            data = self.socket.recv(262_144)
            assert data, f"closed before {token!r}: {self.rest[-500:]!r}"
            self.rest += data
        end = self.rest.find(b"\r\n", found) + 2
        seen, self.rest = self.rest[:end], self.rest[end:]
        return seen

    def ask(self, line: bytes) -> bytes:
        """All untagged answers; the tagged one must be OK."""
        tag = self.send(line)
        seen = self.until(tag + b" ")
        last = seen.rstrip(b"\r\n").rpartition(b"\r\n")[2]
        assert last.startswith(tag + b" OK"), last[:500]
        return seen

    def close(self) -> None:
        self.ask(b"LOGOUT")
        self.socket.close()


def quoted(mailbox: str) -> str:
    return f'"{mailbox}"'
