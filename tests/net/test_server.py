"""The server's skin on real sockets: bytes, limits, deadlines, TLS, drain."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import ssl
import time
from collections.abc import AsyncIterator

import pytest

from mailserver_py.net.connection import Connection, Handler, Peer, Waits
from mailserver_py.net.dial import dial, dial_tls
from mailserver_py.net.server import ACCEPT_PAUSE_S, Door, Gate, Server, address_key, listen
from mailserver_py.net.tls import TlsContexts, opportunistic_context, server_context

from .conftest import Run


async def echo(connection: Connection) -> None:
    while data := await connection.read(5):
        await connection.write(data)


async def echo_then_tls(connection: Connection) -> None:
    while data := await connection.read(5):
        await connection.write(data)
        if data.startswith(b"STARTTLS"):
            await connection.start_tls()


@contextlib.asynccontextmanager
async def serving(
    handler: Handler = echo,
    *,
    gate: Gate | None = None,
    tls: TlsContexts | None = None,
    alpn: tuple[bytes, ...] = (),
    implicit_tls: bool = False,
    refusal: bytes = b"",
    waits: Waits | None = None,
    refused: list[str] | None = None,
) -> AsyncIterator[tuple[Server, int]]:
    sock = listen("127.0.0.1", 0)
    door = Door(
        handler,
        gate or Gate(100, 100),
        tls,
        alpn,
        implicit_tls,
        refusal,
        waits or Waits(),
        lambda peer, reason: (refused if refused is not None else []).append(reason),
    )
    server = Server(sock, door)
    try:
        yield server, sock.getsockname()[1]
    finally:
        await server.drain(0)


def client_context(*alpn: str) -> ssl.SSLContext:
    context = opportunistic_context()
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


async def read_exactly(connection: Connection, size_bytes: int) -> bytes:
    data = b""
    while len(data) < size_bytes:
        chunk = await connection.read(5)
        assert chunk
        data += chunk
    return data


def test_bytes_come_back_as_sent(run: Run) -> None:
    async def case() -> None:
        async with serving() as (_, port):
            client = await dial("127.0.0.1", port, timeout_s=2)
            letter = bytes(range(256)) * 4000
            sender = asyncio.create_task(client.write(letter))
            assert await read_exactly(client, len(letter)) == letter
            await sender
            assert client.peer == Peer("127.0.0.1", port)
            await client.close()

    run(case())


def test_bytes_come_back_through_tls(run: Run, tls: TlsContexts) -> None:
    async def case() -> None:
        seen = []

        async def handler(connection: Connection) -> None:
            seen.append(connection.tls)
            assert not connection.can_start_tls
            await echo(connection)

        async with serving(handler, tls=tls, implicit_tls=True) as (_, port):
            client = await dial_tls("127.0.0.1", port, client_context(), "mx1.example.org", timeout_s=2)
            letter = bytes(range(256)) * 4000
            sender = asyncio.create_task(client.write(letter))
            assert await read_exactly(client, len(letter)) == letter
            await sender
            await client.close()
            assert seen[0] is not None
            assert (seen[0].version, seen[0].server_name) == ("TLSv1.3", "mx1.example.org")

    run(case())


def test_starttls_turns_an_open_connection_into_tls(run: Run, tls: TlsContexts) -> None:
    async def case() -> None:
        async with serving(echo_then_tls, tls=tls) as (_, port):
            client = await dial("127.0.0.1", port, timeout_s=2)
            await client.write(b"STARTTLS\r\n")
            assert await client.read(2) == b"STARTTLS\r\n"
            await client.upgrade(client_context(), "mx1.example.org")
            await client.write(b"inside")
            assert await client.read(2) == b"inside"
            assert client.tls is not None
            await client.close()

    run(case())


def test_a_command_in_the_clear_behind_starttls_closes(run: Run, tls: TlsContexts) -> None:
    async def handler(connection: Connection) -> None:
        await connection.read(5)
        await asyncio.sleep(0.05)  # the injected command has come by now
        await connection.write(b"220 go\r\n")
        await connection.start_tls()

    async def case() -> None:
        async with serving(handler, tls=tls) as (_, port):
            client = await dial("127.0.0.1", port, timeout_s=2)
            await client.write(b"STARTTLS\r\n")
            await asyncio.sleep(0.02)
            await client.write(b"MAIL FROM:<x@y>\r\n")
            assert await client.read(2) == b"220 go\r\n"
            assert await client.read(2) == b""

    run(case())


@pytest.mark.parametrize(
    ("offered", "accepted"),
    [((), True), (("imap",), True), (("h2", "imap"), True), (("http/1.1",), False), (("pop3",), False)],
    ids=["none", "ours", "ours too", "browser", "another mail protocol"],
)
def test_foreign_alpn_is_refused(
    run: Run, tls: TlsContexts, offered: tuple[str, ...], accepted: bool
) -> None:
    async def case() -> None:
        refused: list[str] = []
        async with serving(tls=tls, implicit_tls=True, alpn=(b"imap",), refused=refused) as (_, port):
            opening = dial_tls("127.0.0.1", port, client_context(*offered), "x", timeout_s=2)
            if accepted:
                await (await opening).close()
                return
            with pytest.raises(ConnectionError, match=r"(?i)no.application.protocol"):
                await opening
            assert refused

    run(case())


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
def test_tls_below_1_2_is_refused(run: Run, tls: TlsContexts) -> None:
    async def case() -> None:
        context = client_context()
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        async with serving(tls=tls, implicit_tls=True) as (_, port):
            with pytest.raises(ConnectionError, match="TLS"):
                await dial_tls("127.0.0.1", port, context, "x", timeout_s=2)

    run(case())


def test_no_ticket_is_handed_out() -> None:
    context = server_context()
    assert context.num_tickets == 0
    assert context.options & ssl.OP_NO_TICKET


def test_a_handshake_that_trickles_is_closed_by_the_total(run: Run, tls: TlsContexts) -> None:
    async def case() -> None:
        waits = Waits(handshake_s=0.3)
        async with serving(tls=tls, implicit_tls=True, waits=waits) as (_, port):
            client = await dial("127.0.0.1", port, timeout_s=2)
            started = time.monotonic()
            with contextlib.suppress(ConnectionError):
                for byte in b"\x16\x03\x01\x40\x00" + b"\x01" * 100:
                    await client.write(bytes([byte]))
                    await asyncio.sleep(0.05)
            assert time.monotonic() - started < 1.5

    run(case())


def test_a_peer_that_does_not_read_is_cut(run: Run) -> None:
    async def case() -> None:
        ended = asyncio.Event()

        async def handler(connection: Connection) -> None:
            try:
                while True:
                    await connection.write(b"x" * 1_000_000)
            except ConnectionError:
                ended.set()
                raise

        async with serving(handler, waits=Waits(write_s=0.2)) as (_, port):
            client = await dial("127.0.0.1", port, timeout_s=2)
            client._transport.pause_reading()  # type: ignore[union-attr]  # a peer that does not read
            await asyncio.wait_for(ended.wait(), 3)
            client.abort()

    run(case())


def test_the_last_words_arrive_before_the_close(run: Run) -> None:
    async def case() -> None:
        async def handler(connection: Connection) -> None:
            await connection.write(b"x" * 3_000_000)

        async with serving(handler) as (_, port):
            client = await dial("127.0.0.1", port, timeout_s=2)
            assert await read_exactly(client, 3_000_000) == b"x" * 3_000_000
            assert await client.read(2) == b""

    run(case())


def test_too_many_of_one_address_get_the_protocols_refusal(run: Run) -> None:
    async def case() -> None:
        gate = Gate(100, 2)
        async with serving(gate=gate, refusal=b"421 4.7.0 Too many\r\n") as (_, port):
            first = [await dial("127.0.0.1", port, timeout_s=2) for _ in range(2)]
            await first[0].write(b"x")
            await first[0].read(2)
            third = await dial("127.0.0.1", port, timeout_s=2)
            assert await third.read(2) == b"421 4.7.0 Too many\r\n"
            assert await third.read(2) == b""
            other = await dial("127.0.0.1", port, timeout_s=2, source="127.0.0.2")
            await other.write(b"x")
            assert await other.read(2) == b"x"
            for client in (*first, other):
                await client.close()
            async with asyncio.timeout(2):
                while gate.count:
                    await asyncio.sleep(0.01)

    run(case())


def test_an_ipv6_customer_is_one_client() -> None:
    assert address_key("2001:db8:1:2::1") == address_key("2001:db8:1:2:ffff::9")
    assert address_key("2001:db8:1:2::1") != address_key("2001:db8:1:3::1")


def test_the_accept_loop_survives_running_out_of_descriptors(run: Run) -> None:
    async def case() -> None:
        async with serving() as (_, port):
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
            lowest = max(sock.fileno() for sock in clients) + 2
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
            try:
                burnt = time.process_time()
                await asyncio.sleep(ACCEPT_PAUSE_S)
                burnt = time.process_time() - burnt
                for sock in clients:
                    sock.close()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            assert burnt < ACCEPT_PAUSE_S / 5
            client = await dial("127.0.0.1", port, timeout_s=2)
            await client.write(b"x")
            assert await client.read(3) == b"x"
            await client.close()

    run(case())


def test_drain_lets_sessions_end_and_accepts_no_more(run: Run) -> None:
    async def case() -> None:
        async with serving() as (server, port):
            client = await dial("127.0.0.1", port, timeout_s=2)
            await client.write(b"x")
            await client.read(2)
            draining = asyncio.create_task(server.drain(2))
            await asyncio.sleep(0.05)
            with pytest.raises(ConnectionError):
                await dial("127.0.0.1", port, timeout_s=2)
            await client.write(b"still served")
            assert await client.read(2) == b"still served"
            await client.close()
            assert await draining == 0

    run(case())


def test_drain_ends_those_that_do_not(run: Run) -> None:
    async def case() -> None:
        async with serving() as (server, port):
            client = await dial("127.0.0.1", port, timeout_s=2)
            await client.write(b"x")
            await client.read(2)
            assert await server.drain(0.1) == 1
            assert await client.read(2) == b""

    run(case())


def test_a_read_that_times_out_loses_nothing(run: Run) -> None:
    async def case() -> None:
        async with serving() as (_, port):
            client = await dial("127.0.0.1", port, timeout_s=2)
            with pytest.raises(TimeoutError):
                await client.read(0.05)
            reading = asyncio.create_task(client.read(2))
            await asyncio.sleep(0)
            reading.cancel()
            await client.write(b"x")
            async with asyncio.timeout(1):  # woken by the byte, not by the time
                assert await client.read(2) == b"x"
            await client.close()

    run(case())


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="Linux's")
def test_the_second_half_of_a_command_is_not_held_back(run: Run) -> None:
    async def whole(connection: Connection) -> None:
        count = 0
        while data := await connection.read(5):
            count += len(data)
            if count % 2 == 0:
                await connection.write(b"!")

    def halves(port: int) -> float:
        """As a client writes that knows nothing of Nagle: the fastest of ten, after the kernel's quick start."""
        took = []
        with socket.create_connection(("127.0.0.1", port), 5) as client:
            for _ in range(30):
                began = time.monotonic()
                client.send(b"a")
                client.send(b"b")
                client.recv(1)
                took.append(time.monotonic() - began)
        return min(took[-10:])

    async def case() -> None:
        async with serving(whole) as (_, port):
            assert await asyncio.to_thread(halves, port) < 0.03  # a delayed acknowledgement takes 0.04

    run(case())
