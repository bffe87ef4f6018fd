"""A pretend network: two connected ends in memory, for the tests of sessions and clients.

`server, client = pretend_pair()`; both ends are `Connection`s. Bytes arrive as they were written, one `write`
one `read`, so a test decides where the splits are.
"""

from __future__ import annotations

import asyncio
from collections import deque

from .connection import Peer, TlsInfo

PRETEND_TLS = TlsInfo("TLSv1.3", "TLS_AES_256_GCM_SHA384", "")
"""What the ends say of themselves after `start_tls`."""


class PretendConnection:
    """One end."""

    def __init__(self, local: Peer, peer: Peer, tls: TlsInfo | None) -> None:
        self.local = local
        self.peer = peer
        self.tls = tls
        self.other: PretendConnection = self
        self.can_start_tls = tls is None
        self.closed = False
        self._chunks: deque[bytes] = deque()
        self._ended = False
        self._came = asyncio.Event()

    async def read(self, timeout_s: float) -> bytes:
        """The next chunk, or b"" at the end."""
        if not self._chunks and not self._ended:
            self._came.clear()
            async with asyncio.timeout(timeout_s):
                await self._came.wait()
        return self._chunks.popleft() if self._chunks else b""

    async def read_until(self, end: bytes, timeout_s: float = 2.0) -> bytes:
        """For tests: reads until what came ends with `end`, or the other end closes."""
        seen = b""
        while not seen.endswith(end):
            chunk = await self.read(timeout_s)
            if not chunk:
                break
            seen += chunk
        return seen

    async def write(self, data: bytes) -> None:
        """Hands the bytes to the other end."""
        if self.closed or self.other.closed:
            raise ConnectionResetError("the other end is closed")
        if data:
            self.other._put(bytes(data))

    async def start_tls(self) -> None:
        """Both ends are TLS from now on, unless clear bytes wait. The second end to ask finds it done."""
        if self._chunks:
            raise ConnectionAbortedError("bytes in the clear were sent before TLS")
        if self.tls is None:
            self.tls = self.other.tls = PRETEND_TLS
            self.can_start_tls = self.other.can_start_tls = False

    async def close(self) -> None:
        """The other end reads to the end."""
        self.closed = True
        self.other._end()
        self._end()

    def _put(self, data: bytes) -> None:
        self._chunks.append(data)
        self._came.set()

    def _end(self) -> None:
        self._ended = True
        self._came.set()


def pretend_pair(
    *,
    tls: bool = False,
    client: Peer | None = None,
    server: Peer | None = None,
) -> tuple[PretendConnection, PretendConnection]:
    """(server's end, client's end); needs a running loop."""
    client = client or Peer("192.0.2.7", 40_000)
    server = server or Peer("192.0.2.1", 25)
    info = PRETEND_TLS if tls else None
    one = PretendConnection(server, client, info)
    two = PretendConnection(client, server, info)
    one.other, two.other = two, one
    return one, two
