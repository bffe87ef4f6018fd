"""A user's mail programme, as far as verification needs one: the standard library's clients, run in threads.

Security (promises S05, S15): nothing is sent before TLS is up and its certificate verified; IMAP's PREAUTH ends the
session; no text from outside becomes part of a command, since searches are for our own token, made of [a-z0-9].
"""

from __future__ import annotations

import asyncio
import imaplib
import poplib
import smtplib
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from socket import socket
from typing import TypeVar

from .world import Door, Login

T = TypeVar("T")

TIMEOUT_S = 10.0
"""For each step of a client; a healthy server answers in milliseconds."""

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


async def in_thread(work: Callable[[], T]) -> T:
    """Runs a blocking client; whatever it meets becomes a ClientError."""
    try:
        return await asyncio.to_thread(work)
    except (OSError, smtplib.SMTPException, imaplib.IMAP4.error, poplib.error_proto, EOFError) as error:
        raise ClientError(_said(error)) from error


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


class _Smtp(smtplib.SMTP):
    """Connects to an address, and checks the certificate for a name."""

    def __init__(self, door: Door, trust: ssl.SSLContext) -> None:
        super().__init__(timeout=TIMEOUT_S, local_hostname=HELO)
        self._host = door.host  # what starttls() passes to the context
        self.connect(door.address, door.port)
        self.starttls(context=trust)


class _SmtpTls(smtplib.SMTP_SSL):
    def __init__(self, door: Door, trust: ssl.SSLContext) -> None:
        super().__init__(timeout=TIMEOUT_S, local_hostname=HELO, context=trust)
        self._host = door.host
        self.connect(door.address, door.port)


def open_smtp(door: Door, trust: ssl.SSLContext) -> smtplib.SMTP:
    """An SMTP session under verified TLS."""
    return _SmtpTls(door, trust) if door.listener.implicit_tls else _Smtp(door, trust)


class _Imap(imaplib.IMAP4):
    def __init__(self, door: Door, trust: ssl.SSLContext) -> None:
        self._door, self._trust = door, trust
        super().__init__(door.address, door.port, TIMEOUT_S)
        if (
            self.state != "NONAUTH"
        ):  # PREAUTH: somebody else's session, or a man in the middle (CVE-2020-12398)
            self.shutdown()
            raise imaplib.IMAP4.error("the server greeted with PREAUTH")
        if not door.listener.implicit_tls:
            self.host = door.host  # what starttls() passes to the context
            self.starttls(trust)

    def _create_socket(self, timeout: float | None) -> object:
        return _wrapped(super()._create_socket(timeout), self._door, self._trust)  # type: ignore[misc]  # typeshed leaves this private method out


def open_imap(door: Door, trust: ssl.SSLContext) -> imaplib.IMAP4:
    """An IMAP session under verified TLS, not logged in."""
    return _Imap(door, trust)


class _Pop3(poplib.POP3):
    def __init__(self, door: Door, trust: ssl.SSLContext) -> None:
        self._door, self._trust = door, trust
        super().__init__(door.address, door.port, TIMEOUT_S)
        if not door.listener.implicit_tls:
            self.host = door.host
            self.stls(trust)

    def _create_socket(self, timeout: float) -> object:
        return _wrapped(super()._create_socket(timeout), self._door, self._trust)  # type: ignore[misc]  # typeshed leaves this private method out


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
            client.login(login.address, _one_line(login.password))
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
            client.login(login.address, _one_line(login.password))
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
    """A password as imaplib may send it: it quotes, but lets line ends through (CVE-2025-15366)."""
    if any(c in text for c in "\r\n\0"):
        raise ClientError("a password with a line end or NUL cannot be sent by IMAP LOGIN")
    return text
