"""Servers that mean ill, or are none: what verification's clients do with them (promises S05, S15)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

from mailserver_py.spec.listeners import LISTENERS
from mailserver_py.verify import clients
from mailserver_py.verify.checks.login import BY_PROTOCOL
from mailserver_py.verify.clients import ClientError, find_by_imap, in_thread
from mailserver_py.verify.world import Door, Login
from tests.net.certificates import write_certificate

HOST = "mx1.lab.test"
LOGIN = Login("alice@lab.test", "hunter2")
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Stub:
    """A server on loopback that plays a script; `heard` is what it was sent."""

    def __init__(self, script: Callable[[Stub], Awaitable[None]], tls: ssl.SSLContext | None = None) -> None:
        self.script = script
        self.tls = tls
        self.heard = b""

    async def run(self, protocol: str, client: Callable[[Door], Awaitable[object]]) -> object:
        """What the client gets of a door with STARTTLS."""
        row = next(
            row for row in LISTENERS if row.protocol == protocol and row.login and not row.implicit_tls
        )
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            port = server.sockets[0].getsockname()[1]
            async with asyncio.timeout(20):
                return await client(Door(HOST, "127.0.0.1", port, row))
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        try:
            await self.script(self)
            while await self.line():
                pass
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def line(self) -> bytes:
        line = await self.reader.readline()
        self.heard += line
        return line

    async def answer(self, text: bytes) -> None:
        """Answers an IMAP command: `%t` is its tag."""
        line = await self.line()
        if not line:
            raise ConnectionResetError
        tag = line.partition(b" ")[0]
        await self.say(text.replace(b"%t", tag))

    async def start_tls(self) -> None:
        assert self.tls is not None
        await self.writer.start_tls(self.tls)


def trust(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """(whom the client trusts, what the server shows)."""
    write_certificate(folder, HOST)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "fullchain.pem", folder / "key.pem")
    return ssl.create_default_context(cafile=str(folder / "fullchain.pem")), server


def log_in(protocol: str, stub: Stub, login: Login = LOGIN) -> str:
    """What the login's failure says."""

    async def attempt(door: Door) -> None:
        await in_thread(partial(BY_PROTOCOL[protocol], door, login, ssl.create_default_context()))

    async def main() -> None:
        await stub.run(protocol, attempt)

    with pytest.raises(ClientError) as refused:
        asyncio.run(main())
    return refused.value.text


def test_a_session_that_begins_logged_in_is_left() -> None:
    async def script(stub: Stub) -> None:
        await stub.say(b"* PREAUTH welcome\r\n")
        await stub.answer(b"* CAPABILITY IMAP4rev1 STARTTLS\r\n%t OK done\r\n")

    stub = Stub(script)
    assert "PREAUTH" in log_in("imap", stub)
    assert b"hunter2" not in stub.heard
    assert b"LOGIN" not in stub.heard


async def imap_without(stub: Stub) -> None:
    await stub.say(b"* OK [ALERT] no TLS today, log in as you are\r\n")
    await stub.answer(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n%t OK done\r\n")


async def imap_refusing(stub: Stub) -> None:
    await stub.say(b"* OK hi\r\n")
    await stub.answer(b"* CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN\r\n%t OK done\r\n")
    await stub.answer(b"%t BAD no\r\n")


async def smtp_without(stub: Stub) -> None:
    await stub.say(b"220 hi\r\n")
    await stub.line()
    await stub.say(b"250-hi\r\n250 AUTH PLAIN LOGIN\r\n")


async def smtp_refusing(stub: Stub) -> None:
    await stub.say(b"220 hi\r\n")
    await stub.line()
    await stub.say(b"250-hi\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n")
    await stub.line()
    await stub.say(b"454 4.7.0 later\r\n")


async def pop3_refusing(stub: Stub) -> None:
    await stub.say(b"+OK hi\r\n")
    while await stub.line():
        await stub.say(b"-ERR no\r\n")


@pytest.mark.parametrize(
    ("protocol", "script"),
    [
        ("imap", imap_without),
        ("imap", imap_refusing),
        ("smtp", smtp_without),
        ("smtp", smtp_refusing),
        ("pop3", pop3_refusing),
    ],
    ids=["imap, not offered", "imap, refused", "smtp, not offered", "smtp, refused", "pop3, refused"],
)
def test_no_password_is_sent_where_tls_is_refused(
    protocol: str, script: Callable[[Stub], Awaitable[None]]
) -> None:
    stub = Stub(script)
    log_in(protocol, stub)
    assert b"hunter2" not in stub.heard
    assert b"AUTH" not in stub.heard
    assert b"USER" not in stub.heard


def test_a_certificate_that_nobody_vouches_for_gets_no_password(tmp_path: Path) -> None:
    async def script(stub: Stub) -> None:
        await stub.say(b"220 hi\r\n")
        await stub.line()
        await stub.say(b"250-hi\r\n250 STARTTLS\r\n")
        await stub.line()
        await stub.say(b"220 go\r\n")
        await stub.start_tls()

    stub = Stub(script, trust(tmp_path)[1])
    assert "certificate" in log_in("smtp", stub).lower()
    assert b"AUTH" not in stub.heard


def test_what_was_said_in_the_clear_answers_nothing_later(tmp_path: Path) -> None:
    ours, theirs = trust(tmp_path)

    async def script(stub: Stub) -> None:
        await stub.say(b"* OK hi\r\n")
        await stub.answer(b"* CAPABILITY IMAP4rev1 STARTTLS\r\n%t OK done\r\n")
        await stub.answer(
            b"* SEARCH 66\r\n* 1 FETCH (UID 66 BODY[] {6}\r\nforged)\r\n%t OK go\r\n* SEARCH 67\r\n"
        )
        await stub.start_tls()
        await stub.answer(b"* CAPABILITY IMAP4rev1\r\n%t OK done\r\n")
        await stub.answer(b"%t OK in\r\n")
        await stub.answer(b"* 1 EXISTS\r\n%t OK selected\r\n")
        await stub.answer(b"* SEARCH 7\r\n%t OK found\r\n")
        await stub.answer(b"* 1 FETCH (UID 7 BODY[] {4}\r\ntrue)\r\n%t OK fetched\r\n")
        await stub.answer(b"* BYE\r\n%t OK done\r\n")

    async def look(door: Door) -> object:
        return await find_by_imap(door, LOGIN, ours, "token")

    stub = Stub(script, theirs)
    assert asyncio.run(stub.run("imap", look)) == b"true"
    assert b"UID FETCH 7 " in stub.heard


async def forever(stub: Stub, start: bytes, again: bytes) -> None:
    await stub.say(start)
    while True:
        await stub.say(again)
        await asyncio.sleep(0)  # a write that finds room gives nobody else a turn


@pytest.mark.parametrize(
    ("protocol", "start", "again"),
    [
        ("smtp", b"", b"\0\xff\r\n\r\n"),
        ("smtp", b"", b"220-hi\r\n" * 1_000),
        ("smtp", b"", b"x" * 65_536),
        ("imap", b"", b"\0\xff\r\n"),
        ("imap", b"* OK hi\r\n", b"* OK again\r\n" * 1_000),
        ("imap", b"* OK hi\r\n* 1 FETCH (BODY[] {999999999999}\r\n", b"x" * 65_536),
        ("imap", b"* OK hi\r\n* 1 FETCH (BODY[] {99999999999999999999999}\r\n", b"x" * 65_536),
        ("imap", b"", b"x" * 65_536),
        ("pop3", b"", b"\0\xff\r\n"),
        ("pop3", b"+OK hi\r\n+OK list\r\n", b"STLS\r\n" * 1_000),
        ("pop3", b"", b"x" * 65_536),
    ],
    ids=[
        "smtp garbage",
        "smtp endless reply",
        "smtp endless line",
        "imap garbage",
        "imap endless responses",
        "imap huge literal",
        "imap impossible literal",
        "imap endless line",
        "pop3 garbage",
        "pop3 endless list",
        "pop3 endless line",
    ],
)
def test_a_flood_ends_as_a_finding(
    protocol: str, start: bytes, again: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "SESSION_BYTES", 1_000_000)
    stub = Stub(lambda stub: forever(stub, start, again))
    assert log_in(protocol, stub)
    assert b"hunter2" not in stub.heard


@pytest.mark.parametrize("protocol", ["smtp", "imap", "pop3"])
def test_a_server_that_drips_does_not_hold_a_verification(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "SESSION_S", 0.3)

    async def drip(stub: Stub) -> None:
        while True:
            await stub.say(b"2")
            await asyncio.sleep(0.05)

    # asyncio.run waits for the client's thread too.
    assert "no end after" in log_in(protocol, Stub(drip))


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
@pytest.mark.parametrize("evil", ["x\r\nA1 DELETE INBOX", "x\nDELE 1", "x\0"], ids=["crlf", "lf", "nul"])
def test_a_line_end_in_a_password_never_reaches_the_server(protocol: str, evil: str, tmp_path: Path) -> None:
    ours, theirs = trust(tmp_path)

    async def script(stub: Stub) -> None:
        if protocol == "imap":
            await stub.say(b"* OK hi\r\n")
            await stub.answer(b"* CAPABILITY IMAP4rev1 STARTTLS\r\n%t OK done\r\n")
            await stub.answer(b"%t OK go\r\n")
            await stub.start_tls()
            while True:
                await stub.answer(b"* CAPABILITY IMAP4rev1\r\n%t OK done\r\n")
        await stub.say(b"+OK hi\r\n")
        await stub.line()
        await stub.say(b"+OK\r\nSTLS\r\n.\r\n")
        await stub.line()
        await stub.say(b"+OK\r\n")
        await stub.start_tls()
        while await stub.line():
            await stub.say(b"+OK\r\n")

    async def attempt(door: Door) -> object:
        return await in_thread(partial(BY_PROTOCOL[protocol], door, Login(LOGIN.address, evil), ours))

    stub = Stub(script, theirs)
    with pytest.raises(ClientError, match="line end"):
        asyncio.run(stub.run(protocol, attempt))
    assert b"DELE" not in stub.heard
    assert b"PASS" not in stub.heard
    assert b"LOGIN" not in stub.heard
