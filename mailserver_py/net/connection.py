"""One byte pipe, as every server session and every client sees it; who is at the other end, and what protects
it.

Sessions are written against `Connection` alone, so that the socket (`net.server`, `net.dial`) and the pretend
network (`net.pretend`) are the same thing to them. Nothing here knows a protocol or opens a socket.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Protocol

UNBOUND: Final[Mapping[str, bytes]] = MappingProxyType({})
"""No channel bindings."""


@dataclass(frozen=True, slots=True)
class Peer:
    """An end of a connection: a textual IP address, IPv4-mapped IPv6 unwrapped, without scope."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class TlsInfo:
    """What the TLS handshake ended with; for Received fields and the log."""

    version: str
    """`TLSv1.2`, `TLSv1.3`."""
    cipher: str
    server_name: str
    """The name the client asked for (SNI), or empty."""
    bindings: Mapping[str, bytes] = field(default_factory=lambda: UNBOUND, repr=False)
    """Channel bindings by type (RFC 5929), at a server's end; a login can be tied to them."""


class Connection(Protocol):
    """One connection with one peer."""

    peer: Peer
    local: Peer
    tls: TlsInfo | None

    @property
    def can_start_tls(self) -> bool:
        """Whether `start_tls` would work: in the clear still, and there is a certificate. Offer STARTTLS only
        then.
        """

    async def read(self, timeout_s: float) -> bytes:
        """The next bytes, as many as have come (bounded); b"" when the peer is gone, by end or by reset.

        Raises TimeoutError. A session that waits for a whole command or letter passes what is left of a
        `Deadline`, so that single bytes never prolong the wait.
        """

    async def write(self, data: bytes) -> None:
        """Sends; returns once the system or a small buffer took the bytes. Raises ConnectionError, also when
        the peer does not read within the write deadline.
        """

    async def start_tls(self) -> None:
        """Becomes TLS, after the plaintext go-ahead was written; the server end or the client end by who
        accepted.

        Raises ConnectionError when bytes in the clear are still buffered (command injection, RFC 3207 §4.2's
        reason: nothing said before TLS may count after it), when there is no certificate, or when the
        handshake fails.
        """

    async def close(self) -> None:
        """Sends what is buffered, within a short limit, and closes; harmless when called twice."""


Handler = Callable[[Connection], Awaitable[None]]
"""Serves one connection from greeting to end. May raise ConnectionError and TimeoutError freely; the skin
closes.
"""


@dataclass(frozen=True, slots=True)
class Waits:
    """How long a connection may take for what no session sees. Totals, not prolonged by single bytes."""

    handshake_s: float = 30.0
    """For a whole TLS handshake; clients on poor mobile links need a few seconds."""
    write_s: float = 60.0
    """For a full send buffer (64 KiB) to empty: about 1 kB/s, slower than any link that mail is read over."""
    close_s: float = 5.0
    """For what is buffered to leave at the end."""


class Deadline:
    """A total time for one command or one letter, not prolonged by single bytes.

    With `rate_bytes_per_s` each byte that counted earns its share of time, so that a large letter may take
    longer, but a client that trickles may not.
    """

    __slots__ = ("_end", "_rate_bytes_per_s")

    def __init__(self, total_s: float, *, rate_bytes_per_s: int = 0) -> None:
        self._end = time.monotonic() + total_s
        self._rate_bytes_per_s = rate_bytes_per_s

    def left_s(self, received_bytes: int = 0) -> float:
        """Seconds left, never negative; `received_bytes` is how much of the letter has come so far."""
        earned = received_bytes / self._rate_bytes_per_s if self._rate_bytes_per_s else 0.0
        return max(0.0, self._end + earned - time.monotonic())
