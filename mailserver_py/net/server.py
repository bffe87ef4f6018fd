"""The server's skin: accepts connections within limits, runs a session on each, and can stop without breaking
one.

The accept loop is our own: it has to count a connection against its address before a TLS handshake costs
anything, to say a protocol's own words to one that is too many, and to pause, not spin and not die, when the
process runs out of descriptors (promises R10; loops differ in that).
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from .connection import Handler, Peer, Waits
from .stream import Stream, peer_of
from .tls import TlsContexts

ACCEPT_PAUSE_S = 0.5
"""After the process ran out of descriptors or memory: short for those who wait, long enough to cost no
CPU.
"""

ACCEPT_TURN_S = 0.001
"""After a connection was taken, so that the next one goes to another process on the socket. Whoever is awake
would take all of a burst: a sender's twenty connections were served by one core of two.
"""


class Gate:
    """Counts the connections of one process, in all and per address; shared by all of its listeners."""

    def __init__(self, connections: int, connections_per_address: int) -> None:
        self._limit_count = connections
        self._limit_per_address_count = connections_per_address
        self._by_address: dict[str, int] = {}
        self.count = 0

    def enter(self, address: str) -> bool:
        """Counts one in; False, and nothing counted, when there are too many."""
        key = address_key(address)
        now = self._by_address.get(key, 0)
        if self.count >= self._limit_count or now >= self._limit_per_address_count:
            return False
        self._by_address[key] = now + 1
        self.count += 1
        return True

    def leave(self, address: str) -> None:
        """Counts one out."""
        key = address_key(address)
        self.count -= 1
        left = self._by_address[key] - 1
        if left:
            self._by_address[key] = left
        else:
            del self._by_address[key]


def address_key(address: str) -> str:
    """What is one client: an IPv4 address, or an IPv6 /64, which is what one customer gets (RFC 6177 §2)."""
    if ":" not in address:
        return address
    try:
        return str(ipaddress.IPv6Address(int(ipaddress.IPv6Address(address)) >> 64 << 64))
    except ValueError:
        return address


@dataclass(frozen=True, slots=True)
class Door:
    """How connections of one listener are treated."""

    handler: Handler
    gate: Gate
    tls: TlsContexts | None = None
    alpn: tuple[bytes, ...] = ()
    """Protocol names accepted in ALPN; a client that offers only others is refused."""
    implicit_tls: bool = False
    refusal: bytes = b""
    """Said to a connection past a limit before it is closed; not on implicit TLS, where it would be
    garbage.
    """
    waits: Waits = field(default_factory=Waits)
    on_refused: Callable[[Peer, str], None] = lambda peer, reason: None
    """Hears of connections that never became a session: past a limit, or without a TLS handshake."""


class Server:
    """One listening socket and its sessions. Takes the socket over, but closes only its own copy of it."""

    def __init__(self, sock: socket.socket, door: Door) -> None:
        self._loop = asyncio.get_running_loop()
        self._door = door
        self._sock = sock
        self._sock.setblocking(False)
        self._sessions: set[asyncio.Task[None]] = set()
        self._resume: asyncio.TimerHandle | None = None
        self._open = True
        self._loop.add_reader(self._sock.fileno(), self._accept)

    @property
    def session_count(self) -> int:
        """Connections being served."""
        return len(self._sessions)

    def stop_listening(self) -> None:
        """Accepts no more; what waits in the kernel's queue goes to the other processes on the socket."""
        if self._open:
            self._open = False
            self._pause()
            self._sock.close()

    async def drain(self, timeout_s: float) -> int:
        """Waits for the sessions to end, then ends them; how many had to be ended."""
        self.stop_listening()
        if self._sessions:
            await asyncio.wait(self._sessions, timeout=timeout_s)
        left = tuple(self._sessions)
        for session in left:
            session.cancel()
        if left:
            await asyncio.wait(left, timeout=self._door.waits.close_s)
        return len(left)

    def _pause(self) -> None:
        self._loop.remove_reader(self._sock.fileno())
        if self._resume is not None:
            self._resume.cancel()
            self._resume = None

    def _listen_again(self) -> None:
        self._resume = None
        if self._open:
            self._loop.add_reader(self._sock.fileno(), self._accept)

    def _accept(self) -> None:
        try:
            sock, name = self._sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError:  # EMFILE and its kin; the network's own errors (accept(2)) are soon over too
            self._rest(ACCEPT_PAUSE_S)
            return
        peer = peer_of(name)
        if not self._door.gate.enter(peer.address):
            self._refuse(sock, peer)
            return
        self._rest(ACCEPT_TURN_S)
        sock.setblocking(False)
        task = self._loop.create_task(self._serve(sock, peer))
        self._sessions.add(task)
        task.add_done_callback(self._sessions.discard)

    def _rest(self, pause_s: float) -> None:
        self._pause()
        self._resume = self._loop.call_later(pause_s, self._listen_again)

    def _refuse(self, sock: socket.socket, peer: Peer) -> None:
        with sock, contextlib.suppress(OSError):
            if self._door.refusal and not self._door.implicit_tls:
                sock.setblocking(False)
                sock.send(self._door.refusal)
        self._door.on_refused(peer, "too many connections")

    async def _serve(self, sock: socket.socket, peer: Peer) -> None:
        door = self._door
        stream = Stream(context=self._tls_context, alpn=door.alpn, waits=door.waits)
        try:
            with contextlib.suppress(OSError):  # a peer that is gone already
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                await self._loop.connect_accepted_socket(lambda: stream, sock)
            except OSError:
                sock.close()
                return
            if door.implicit_tls:
                try:
                    await stream.start_tls()
                except ConnectionError as error:
                    door.on_refused(peer, str(error))
                    return
            with contextlib.suppress(ConnectionError, TimeoutError):
                await door.handler(stream)
        finally:
            try:
                await stream.close()
            finally:
                stream.abort()
                door.gate.leave(peer.address)

    def _tls_context(self) -> ssl.SSLContext | None:
        return self._door.tls.context(self._door.alpn) if self._door.tls is not None else None


def listen(address: str, port: int, *, backlog: int = 512) -> socket.socket:
    """A listening TCP socket at an address, for whoever gets none from systemd. Raises OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    return sock
