"""What pyinfra's SSH transport lacks: no Nagle, and an end to waiting for a host that is gone.

paramiko sets no TCP_NODELAY, so that each of its small packets waits for the other side's delayed
acknowledgement: 43 ms a command, four fifths of an unchanged deploy. And it waits an hour for a channel to open, so
that one pulled cable holds every other host at pyinfra's barrier; the limits here end that in about 20 s.

Imported by `provision.inventory`, before pyinfra connects.
"""

from __future__ import annotations

import socket
from typing import Any

import paramiko

CHANNEL_S = 15
"""To open a channel; a living host takes one round trip."""
SILENCE_MS = 20_000
"""Sent octets that nobody acknowledged: the connection is given up."""

_OPTIONS = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_USER_TIMEOUT", None), SILENCE_MS),  # Linux
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPIDLE", None), 10),  # seconds; Linux
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPINTVL", None), 5),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPCNT", None), 3),
)

_stock_init = paramiko.Transport.__init__


def _init(self: paramiko.Transport, sock: Any, *arguments: Any, **options: Any) -> None:
    _stock_init(self, sock, *arguments, **options)
    vars(self)["channel_timeout"] = CHANNEL_S  # paramiko reads it; its types do not know it
    for level, option, value in _OPTIONS:
        # A ProxyCommand or a jump host's channel is no TCP socket, and has nothing to set.
        if option is not None and isinstance(self.sock, socket.socket):
            self.sock.setsockopt(level, option, value)


def patch() -> None:
    """Makes every later SSH connection of this process a quick and mortal one."""
    paramiko.Transport.__init__ = _init  # type: ignore[method-assign]  # the only hook there is


patch()
