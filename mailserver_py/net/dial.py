"""Connections to others: one address at a time, with a total time limit.

Which address comes next, and what is said, is the caller's. A dialled connection is a `Stream`; its TLS
begins with `upgrade(context, server_name)`.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Protocol

from .connection import Waits
from .stream import Stream


class Dial(Protocol):
    """Opens a connection to an address; the port through which tests and the `try` sandbox lead the way
    elsewhere.
    """

    async def __call__(
        self, address: str, port: int, *, timeout_s: float, source: str | None = None
    ) -> Stream:
        """Raises ConnectionError or TimeoutError."""


async def dial(
    address: str, port: int, *, timeout_s: float, source: str | None = None, waits: Waits | None = None
) -> Stream:
    """Connects to a textual IP address (or, for verification of one's own names, a host name).

    `source` is our end, if this host has that address (behind a NAT it may not); else the system chooses.
    Raises ConnectionError (unreachable networks included) or TimeoutError.
    """
    stream = Stream(waits=waits)
    loop = asyncio.get_running_loop()
    local = (source, 0) if source and _is_ours(source) else None
    try:
        async with asyncio.timeout(timeout_s):
            await loop.create_connection(lambda: stream, address, port, local_addr=local)
    except (ConnectionError, TimeoutError):
        raise
    except socket.gaierror as error:
        raise ConnectionAbortedError(f"{address}: no such host") from error
    except OSError as error:  # EHOSTUNREACH, ENETUNREACH, EADDRNOTAVAIL, EMFILE
        raise ConnectionAbortedError(error.strerror or str(error)) from error
    return stream


async def dial_tls(
    address: str,
    port: int,
    context: ssl.SSLContext,
    server_name: str,
    *,
    timeout_s: float,
    source: str | None = None,
) -> Stream:
    """Connects and begins TLS at once (RFC 8314 §3). Raises as `dial`."""
    stream = await dial(address, port, timeout_s=timeout_s, source=source, waits=Waits(handshake_s=timeout_s))
    try:
        await stream.upgrade(context, server_name)
    except BaseException:
        stream.abort()
        raise
    return stream


def _is_ours(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
