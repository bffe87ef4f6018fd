"""A TCP connection as a `Connection`: an asyncio protocol with bounded buffers, and TLS of its own over
memory BIOs.

Why TLS is not left to the loop: asyncio keeps 256 KiB per TLS transport, tells nothing of the ClientHello,
and reads on between a STARTTLS reply and the handshake. Here an idle TLS connection costs OpenSSL's state
alone, foreign ALPN is refused before OpenSSL runs, and the change to TLS is one step between two bytes, with
asyncio and uvloop alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import cast

from .client_hello import NO_APPLICATION_PROTOCOL, ClientHello, parse_client_hello
from .connection import UNBOUND, Peer, TlsInfo, Waits
from .tls import ServerContext, handshake_binding

READ_LIMIT_BYTES = 65_536
"""Received and not yet read: beyond it the peer has to wait (TCP's window closes)."""

WRITE_PIECE_BYTES = 65_536
"""Large writes go in pieces, each with a write deadline of its own."""

_TLS_HANDSHAKE_BYTE = 0x16

_QUICK_ACK = getattr(socket, "TCP_QUICKACK", None)  # Linux's


class Stream(asyncio.Protocol):
    """One TCP connection. `context` makes the TLS of a server end; a client end brings its own to
    `upgrade`.
    """

    __slots__ = (
        "_alpn",
        "_bio_in",
        "_bio_out",
        "_chunks",
        "_closer",
        "_closing",
        "_context",
        "_ended",
        "_held_bytes",
        "_lost",
        "_on_lost",
        "_reader",
        "_ssl",
        "_transport",
        "_unanswered",
        "_waits",
        "_writer",
        "local",
        "peer",
        "tls",
    )

    def __init__(
        self,
        *,
        context: Callable[[], ssl.SSLContext | None] = lambda: None,
        alpn: tuple[bytes, ...] = (),
        waits: Waits | None = None,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        self.peer = self.local = Peer("", 0)
        self.tls: TlsInfo | None = None
        self._context = context
        self._alpn = alpn
        self._waits = waits or Waits()
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._chunks: list[bytes] = []
        self._held_bytes = 0
        self._ended = self._lost = self._closing = False
        self._unanswered = False
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._closer: asyncio.Future[None] | None = None
        self._ssl: ssl.SSLObject | None = None
        self._bio_in = self._bio_out = cast(ssl.MemoryBIO, None)

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Learns the addresses."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_PIECE_BYTES, low=WRITE_PIECE_BYTES // 4)
        self.peer = peer_of(transport.get_extra_info("peername"))
        self.local = peer_of(transport.get_extra_info("sockname"))

    def data_received(self, data: bytes) -> None:
        """Keeps what came, as it came; TLS is undone by whoever reads."""
        self._chunks.append(data)
        self._unanswered = True
        self._held_bytes += len(data)
        if self._held_bytes >= READ_LIMIT_BYTES and self._transport is not None:
            self._transport.pause_reading()
        _wake(self._reader)

    def eof_received(self) -> bool:
        """The peer said its last; what it sent is still read, and answered (half-closed is legal)."""
        self._ended = True
        _wake(self._reader)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone, by either side."""
        self._lost = self._ended = True
        _wake(self._reader)
        _wake(self._writer)
        _wake(self._closer)
        self._on_lost()

    def pause_writing(self) -> None:
        """The send buffer is full."""
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """The send buffer has room."""
        _wake(self._writer)
        self._writer = None

    # What sessions call.

    @property
    def can_start_tls(self) -> bool:
        """Whether there is a certificate to start with."""
        return self._ssl is None and self._context() is not None

    async def read(self, timeout_s: float) -> bytes:
        """See `Connection.read`. A read that is cancelled loses nothing."""
        if self._ssl is None:
            if not self._chunks and not self._ended:
                await self._more(timeout_s)
            return self._take()
        return await self._read_tls(timeout_s)

    async def write(self, data: bytes) -> None:
        """See `Connection.write`."""
        if len(data) <= WRITE_PIECE_BYTES:
            await self._write_piece(data)
            return
        view = memoryview(data)
        for at in range(0, len(data), WRITE_PIECE_BYTES):
            await self._write_piece(view[at : at + WRITE_PIECE_BYTES])

    async def start_tls(self) -> None:
        """See `Connection.start_tls`: the server end's upgrade, with the listener's certificate."""
        context = self._context()
        if context is None:
            raise ConnectionAbortedError("there is no certificate")
        await self._handshake(context, server_side=True, server_name=None)

    async def upgrade(self, context: ssl.SSLContext, server_name: str | None) -> None:
        """The client end's upgrade. Raises ConnectionError, with OpenSSL's reason, when the handshake
        fails.
        """
        await self._handshake(context, server_side=False, server_name=server_name)

    async def close(self) -> None:
        """See `Connection.close`."""
        if self._closing or self._transport is None:
            return
        self._closing = True
        if self._ssl is not None and not self._lost:
            # It wants the peer's farewell too, for which nobody waits (RFC 8446 §6.1).
            with contextlib.suppress(ssl.SSLError):
                self._ssl.unwrap()
            self._flush()
        self._transport.close()
        if not self._lost and self._transport.get_write_buffer_size():
            self._closer = asyncio.get_running_loop().create_future()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._waits.close_s):
                    await self._closer
            self.abort()

    def abort(self) -> None:
        """Closes at once, whatever is buffered."""
        self._closing = True
        if self._transport is not None and not self._lost:
            self._transport.abort()

    # Bytes in the clear.

    async def _more(self, timeout_s: float) -> None:
        """Waits until something came, or the end. Raises TimeoutError."""
        if timeout_s <= 0:
            raise TimeoutError
        if self._unanswered:
            self._acknowledge()
        loop = asyncio.get_running_loop()
        self._reader = reader = loop.create_future()
        timer = loop.call_later(timeout_s, _wake, reader)
        try:
            await reader
        finally:
            timer.cancel()
            if self._reader is reader:  # a cancelled read may end after the next has begun
                self._reader = None
        if not self._chunks and not self._ended:
            raise TimeoutError

    def _acknowledge(self) -> None:
        """Acknowledges at once what nobody is going to answer yet, as a literal of which the end is missing. Clients
        that leave Nagle's algorithm on hold the next small piece back until then (RFC 9293 §3.7.4), and the kernel
        would wait 40 ms for a reply to send along: an APPEND by imaplib took 55 ms instead of 11.
        """
        self._unanswered = False
        sock = None if self._transport is None else self._transport.get_extra_info("socket")
        if sock is not None and _QUICK_ACK is not None:
            with contextlib.suppress(OSError):  # a peer that is gone
                sock.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)

    def _take(self) -> bytes:
        chunks = self._chunks
        if not chunks:
            return b""
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._chunks = []
        if self._held_bytes >= READ_LIMIT_BYTES and self._transport is not None and not self._lost:
            self._transport.resume_reading()
        self._held_bytes = 0
        return data

    async def _write_piece(self, data: bytes | memoryview) -> None:
        if self._lost or self._closing or self._transport is None:
            raise ConnectionResetError("the connection is closed")
        self._unanswered = False
        if self._ssl is None:
            self._transport.write(data)
        else:
            self._encrypt(data)
        if self._writer is not None:
            try:
                async with asyncio.timeout(self._waits.write_s):
                    await asyncio.shield(self._writer)
            except TimeoutError:
                self.abort()
                raise ConnectionAbortedError("the peer does not read") from None
            if self._lost:
                raise ConnectionResetError("the connection is closed")

    # Bytes in TLS.

    def _encrypt(self, data: bytes | memoryview) -> None:
        assert self._ssl is not None
        try:
            self._ssl.write(data)
        except ssl.SSLError as error:
            self.abort()
            raise ConnectionAbortedError(f"TLS: {error.reason or error}") from None
        self._flush()

    def _flush(self) -> None:
        if self._bio_out.pending and self._transport is not None and not self._lost:
            self._transport.write(self._bio_out.read())

    async def _read_tls(self, timeout_s: float) -> bytes:
        tls = self._ssl
        assert tls is not None
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        while True:
            if self._chunks:
                self._bio_in.write(self._take())
            try:
                data = tls.read(READ_LIMIT_BYTES)
            except ssl.SSLWantReadError:
                self._flush()  # answers to key updates
            except ssl.SSLError:
                self._flush()
                return b""  # an alert, a farewell or garbage: there is no more to be read
            else:
                # Several records may have come at once; all of them make one chunk, up to the limit.
                while len(data) < READ_LIMIT_BYTES and self._bio_in.pending:
                    try:
                        more = tls.read(READ_LIMIT_BYTES)
                    except ssl.SSLError:
                        break
                    if not more:
                        break
                    data += more
                return data
            if self._ended and not self._chunks:
                return b""
            if not self._chunks:
                await self._more(end - loop.time())

    async def _handshake(
        self, context: ssl.SSLContext, *, server_side: bool, server_name: str | None
    ) -> None:
        if self._ssl is not None:
            raise ConnectionAbortedError("TLS is on already")
        if self._chunks and (not server_side or self._chunks[0][0] != _TLS_HANDSHAKE_BYTE):
            # No command of any protocol here begins with a handshake record's type, so such bytes are the
            # hello of a client that saw our go-ahead; anything else was said in the clear and must not count.
            raise ConnectionAbortedError("bytes in the clear were sent before TLS")
        loop = asyncio.get_running_loop()
        end = loop.time() + self._waits.handshake_s
        try:
            hello = await self._check_hello(end) if server_side else ClientHello(server_name or "")
            self._bio_in, self._bio_out = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = context.wrap_bio(
                self._bio_in, self._bio_out, server_side=server_side, server_hostname=server_name
            )
            await self._shake(tls, end)
        except TimeoutError:
            raise ConnectionAbortedError("the TLS handshake took too long") from None
        cipher = tls.cipher()
        bindings = UNBOUND
        if isinstance(context, ServerContext):
            unique = handshake_binding(tls, extended_master_secret=hello.extended_master_secret)
            bindings = {**context.bindings, **unique} if unique else context.bindings
        self.tls = TlsInfo(tls.version() or "", cipher[0] if cipher else "", hello.server_name, bindings)
        self._ssl = tls

    async def _check_hello(self, end: float) -> ClientHello:
        """Waits for the whole ClientHello, leaves it where it is, and refuses foreign ALPN."""
        loop = asyncio.get_running_loop()
        while (hello := parse_client_hello(b"".join(self._chunks))) is None:
            if self._ended:
                raise ConnectionResetError("gone before the TLS handshake")
            await self._more(end - loop.time())
        if hello.alpn and not set(hello.alpn) & set(self._alpn):
            if self._transport is not None:
                self._transport.write(NO_APPLICATION_PROTOCOL)
            raise ConnectionAbortedError("the client asked for another protocol (ALPN)")
        return hello

    async def _shake(self, tls: ssl.SSLObject, end: float) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if self._chunks:
                self._bio_in.write(self._take())
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
            except ssl.SSLError as error:
                self._flush()  # the alert that tells the peer why
                raise ConnectionAbortedError(f"TLS: {error.reason or error}") from None
            else:
                self._flush()
                return
            if self._ended and not self._chunks:
                raise ConnectionResetError("gone during the TLS handshake")
            if not self._chunks:
                await self._more(end - loop.time())


def peer_of(name: object) -> Peer:
    """A socket name as a `Peer`: IPv4-mapped IPv6 unwrapped, no scope."""
    if not isinstance(name, tuple) or len(name) < 2:
        return Peer("", 0)
    address = str(name[0]).partition("%")[0]
    if address.startswith("::ffff:") and "." in address:
        address = address.removeprefix("::ffff:")
    return Peer(address, int(name[1]))


def _wake(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
