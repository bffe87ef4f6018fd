"""A user's mail programme, as far as verification needs one: the standard library's clients, run in threads.

Security (promises S05, S15):
- Nothing is sent before TLS is up and its certificate verified; IMAP's PREAUTH ends the session, and what was said in
  the clear is forgotten with it.
- No text from outside becomes part of a command: searches are for our own token, made of [a-z0-9], and a password with
  a line end is refused.
- Whoever answers, at whatever length and speed, gets so much time and memory and no more (`SESSION_S`,
  `SESSION_BYTES`).
"""

from __future__ import annotations

import asyncio
import contextlib
import imaplib
import poplib
import smtplib
import ssl
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from socket import SHUT_RDWR, socket
from typing import BinaryIO, Literal, TypeVar

from .world import Door, Login

T = TypeVar("T")

TIMEOUT_S = 10.0
"""For each step of a client; a healthy server answers in milliseconds."""

SESSION_S = 60.0
"""For a whole session: a server that sends an octet now and then would else keep a thread for ever."""

SESSION_BYTES = 64 * 1024 * 1024
"""Of one session's answers: a mailbox's list and a letter of the largest usual size."""

HELO = "verification.invalid"
"""Whoever verifies has no name of its own; `.invalid` can be nobody's (RFC 2606 §2)."""

IN_USE = "[IN-USE]"
"""The response code of a maildrop that another session holds (RFC 2449 §8.1.1)."""

MAILDROP_S = 15.0
"""A verification holds the maildrop for less than a second; a user's client has no business in this one."""

imaplib._MAXLINE = 10_000_000  # type: ignore[attr-defined]  # a line of SEARCH hits may be long in a full mailbox


@dataclass(frozen=True, slots=True)
class ClientError(Exception):
    """A client could not do what a user would have done; `text` is what it said, on one line."""

    text: str

    def __str__(self) -> str:
        return self.text


def _said(error: BaseException) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return _one_line_of(f"{error.smtp_code} ", error.smtp_error)
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, said = next(iter(error.recipients.values()))
        return _one_line_of(f"{code} ", said)
    return _one_line_of("", str(error) or type(error).__name__)


def _one_line_of(start: str, said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return " ".join((start + text).split())[:300]


Client = smtplib.SMTP | imaplib.IMAP4 | poplib.POP3

_open: ContextVar[list[Client]] = ContextVar("open")
"""The clients of the thread's work, to be cut off when its time is over."""


async def in_thread(work: Callable[[], T]) -> T:
    """Runs a blocking client; whatever it meets becomes a ClientError."""
    clients: list[Client] = []
    _open.set(clients)
    try:
        async with asyncio.timeout(SESSION_S):
            return await asyncio.to_thread(work)
    except TimeoutError as error:
        raise ClientError(str(error) or f"no end after {SESSION_S:.0f} s") from error
    except (
        OSError,
        smtplib.SMTPException,
        imaplib.IMAP4.error,
        poplib.error_proto,
        EOFError,
        # What the standard library's parsers make of answers that are none.
        ValueError,
        LookupError,
    ) as error:
        raise ClientError(_said(error)) from error
    finally:
        for client in clients:
            _cut(client)


def _cut(client: Client) -> None:
    """Ends a connection under whoever reads from it; nothing when it was closed."""
    sock = getattr(client, "sock", None)
    if isinstance(sock, socket):
        with contextlib.suppress(OSError):
            socket.shutdown(sock, SHUT_RDWR)  # not SSLSocket's own, which the reader would trip over


class Meter:
    """Counts what one session was sent."""

    def __init__(self, client: Client) -> None:
        self._left_bytes = SESSION_BYTES
        _open.get([]).append(client)

    def count(self, size_bytes: int) -> None:
        """Raises ConnectionAbortedError when it is too much."""
        self._left_bytes -= size_bytes
        if self._left_bytes < 0:
            raise ConnectionAbortedError(f"the server sends more than {SESSION_BYTES} octets")


async def in_maildrop(lock: asyncio.Lock, work: Callable[[], T]) -> T:
    """As `in_thread`, for POP3, where one session holds the maildrop (RFC 1939 §4): one of ours at a time, and another
    verification's is waited for.
    """
    end = time.monotonic() + MAILDROP_S
    async with lock:
        while True:
            try:
                return await in_thread(work)
            except ClientError as error:
                if IN_USE not in error.text or time.monotonic() > end:
                    raise
            await asyncio.sleep(0.5)


class _Lines:
    """smtplib's file: lines, counted."""

    def __init__(self, file: BinaryIO, meter: Meter) -> None:
        self._file, self._meter = file, meter

    def readline(self, limit_bytes: int) -> bytes:
        line = self._file.readline(limit_bytes)
        self._meter.count(len(line))
        return line

    def close(self) -> None:
        self._file.close()


class _CountedSmtp(smtplib.SMTP):
    """Counts what it reads."""

    file: _Lines | None
    meter: Meter

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = _Lines(self.sock.makefile("rb"), self.meter)
        return super().getreply()


class _Smtp(_CountedSmtp):
    """Connects to an address, in the clear."""

    def __init__(self, door: Door) -> None:
        self.meter = Meter(self)
        super().__init__(timeout=TIMEOUT_S, local_hostname=HELO)
        self._host = door.host  # what starttls() passes to the context
        self.connect(door.address, door.port)


class _SmtpTls(_CountedSmtp, smtplib.SMTP_SSL):
    """Connects to an address, and checks the certificate for a name."""

    def __init__(self, door: Door, trust: ssl.SSLContext) -> None:
        self.meter = Meter(self)
        super().__init__(timeout=TIMEOUT_S, local_hostname=HELO, context=trust)
        self._host = door.host
        self.connect(door.address, door.port)


def open_smtp(door: Door, trust: ssl.SSLContext) -> smtplib.SMTP:
    """An SMTP session under TLS, whose certificate is checked for the door's host."""
    if door.listener.implicit_tls:
        return _SmtpTls(door, trust)
    client = _Smtp(door)
    client.starttls(context=trust)
    return client


def open_smtp_in_the_clear(door: Door) -> smtplib.SMTP:
    """An SMTP session without TLS, as a stranger may begin it."""
    return _Smtp(door)


class _Imap(imaplib.IMAP4):
    def __init__(self, door: Door, trust: ssl.SSLContext) -> None:
        self._door, self._trust = door, trust
        self._meter = Meter(self)
        super().__init__(door.address, door.port, TIMEOUT_S)
        if (
            self.state != "NONAUTH"
        ):  # PREAUTH: somebody else's session, or a man in the middle (CVE-2020-12398)
            self.shutdown()
            raise imaplib.IMAP4.error("the server greeted with PREAUTH")
        if not door.listener.implicit_tls:
            self.host = door.host  # what starttls() passes to the context
            self.starttls(trust)
            # What came in the clear, found again as the answer to a later command.
            self.untagged_responses.clear()

    def _create_socket(self, timeout: float | None) -> object:
        return _wrapped(super()._create_socket(timeout), self._door, self._trust)  # type: ignore[misc]  # typeshed leaves this private method out

    def read(self, size: int) -> bytes:
        self._meter.count(size)
        return super().read(size)

    def readline(self) -> bytes:
        line = super().readline()
        self._meter.count(len(line))
        return line

    def login(self, user: str, password: str) -> tuple[Literal["OK"], list[bytes]]:
        # imaplib quotes, but lets line ends through (CVE-2025-15366).
        return super().login(_one_line(user), _one_line(password))


def open_imap(door: Door, trust: ssl.SSLContext) -> imaplib.IMAP4:
    """An IMAP session under verified TLS, not logged in."""
    return _Imap(door, trust)


class _Pop3(poplib.POP3):
    def __init__(self, door: Door, trust: ssl.SSLContext) -> None:
        self._door, self._trust = door, trust
        self._meter = Meter(self)
        super().__init__(door.address, door.port, TIMEOUT_S)
        if not door.listener.implicit_tls:
            self.host = door.host
            self.stls(trust)

    def _create_socket(self, timeout: float) -> object:
        return _wrapped(super()._create_socket(timeout), self._door, self._trust)  # type: ignore[misc]  # typeshed leaves this private method out

    def _getline(self) -> tuple[bytes, int]:
        line, size_bytes = super()._getline()  # type: ignore[misc]  # typeshed leaves this private method out
        self._meter.count(size_bytes)
        return line, size_bytes

    def user(self, user: str) -> bytes:
        return super().user(_one_line(user))  # poplib lets line ends through (CVE-2025-15367)

    def pass_(self, pswd: str) -> bytes:
        return super().pass_(_one_line(pswd))


def open_pop3(door: Door, trust: ssl.SSLContext) -> poplib.POP3:
    """A POP3 session under verified TLS, not logged in."""
    return _Pop3(door, trust)


def _wrapped(sock: socket, door: Door, trust: ssl.SSLContext) -> socket:
    return trust.wrap_socket(sock, server_hostname=door.host) if door.listener.implicit_tls else sock


async def submit(door: Door, login: Login, trust: ssl.SSLContext, recipient: str, letter: bytes) -> str:
    """Sends as a user does; the server's last reply. Raises ClientError."""

    def work() -> str:
        with open_smtp(door, trust) as client:
            client.login(login.address, login.password)
            client.ehlo_or_helo_if_needed()
            code, said = client.mail(login.address, ["BODY=8BITMIME"] if client.has_extn("8bitmime") else [])
            if code != 250:
                raise smtplib.SMTPResponseException(code, said)
            code, said = client.rcpt(recipient)
            if code not in (250, 251):
                raise smtplib.SMTPResponseException(code, said)
            code, said = client.data(letter)
            if code != 250:
                raise smtplib.SMTPDataError(code, said)
            return said.decode("utf-8", "replace")

    return await in_thread(work)


async def find_by_imap(
    door: Door, login: Login, trust: ssl.SSLContext, token: str, mailbox: str = "INBOX"
) -> bytes | None:
    """The whole letter that carries the token, or None. Raises ClientError."""

    def work() -> bytes | None:
        client = open_imap(door, trust)
        try:
            client.login(login.address, login.password)
            client.select(mailbox, readonly=True)
            _, found = client.uid("SEARCH", "HEADER", "Subject", token)
            uids = (found[0] or b"").split()
            if not uids:
                return None
            _, rows = client.uid("FETCH", uids[-1].decode("ascii"), "(BODY.PEEK[])")
            return next((row[1] for row in rows if isinstance(row, tuple)), None)
        finally:
            client.logout()

    return await in_thread(work)


async def remove_by_imap(door: Door, login: Login, trust: ssl.SSLContext, token: str) -> None:
    """Removes the letters that carry the token from every place where a test letter can lie. Raises ClientError."""

    def work() -> None:
        client = open_imap(door, trust)
        try:
            client.login(login.address, login.password)
            for mailbox in ("INBOX", "Junk"):
                status, _ = client.select(mailbox)
                if status != "OK":
                    continue
                _, found = client.uid("SEARCH", "HEADER", "Subject", token)
                for uid in (found[0] or b"").split():
                    client.uid("STORE", uid.decode("ascii"), "+FLAGS.SILENT", "(\\Deleted)")
                client.expunge()
        finally:
            client.logout()

    await in_thread(work)


async def find_by_pop3(
    lock: asyncio.Lock, door: Door, login: Login, trust: ssl.SSLContext, token: str
) -> bytes | None:
    """The whole letter that carries the token, or None. Raises ClientError."""

    def work() -> bytes | None:
        client = open_pop3(door, trust)
        try:
            client.user(login.address)
            client.pass_(login.password)
            count = len(client.list()[1])
            for number in range(count, 0, -1):
                header = b"\r\n".join(client.top(number, 0)[1])
                if token.encode("ascii") in header:
                    return b"".join(line + b"\r\n" for line in client.retr(number)[1])
            return None
        finally:
            client.quit()

    return await in_maildrop(lock, work)


def _one_line(text: str) -> str:
    """A name or password as it may stand in a command."""
    if any(c in text for c in "\r\n\0"):
        raise ClientError("a name or password with a line end or NUL cannot be sent")
    return text
