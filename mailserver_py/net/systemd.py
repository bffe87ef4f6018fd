"""What systemd hands a service and wants to hear: sockets by name and states, sd_listen_fds(3) and
sd_notify(3).
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping

FIRST_FD = 3
"""SD_LISTEN_FDS_START."""


def take_sockets(environ: Mapping[str, str] | None = None) -> dict[str, list[socket.socket]]:
    """The listening sockets that were passed to this process, by the name their unit gives them.

    An IPv4 and an IPv6 socket may share a name. Empty when none were passed, or to another process.
    """
    environ = os.environ if environ is None else environ
    try:
        count = int(environ.get("LISTEN_FDS", "0"))
        ours = int(environ.get("LISTEN_PID", "0")) == os.getpid()
    except ValueError:
        return {}
    if not ours:
        return {}
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    sockets: dict[str, list[socket.socket]] = {}
    for index in range(count):
        name = names[index] if index < len(names) else ""
        sockets.setdefault(name, []).append(adopt_socket(FIRST_FD + index))
    return sockets


def adopt_socket(fd: int) -> socket.socket:
    """A socket that a parent left open for us; our own children do not get it."""
    os.set_inheritable(fd, False)
    return socket.socket(fileno=fd)


class Notifier:
    """Tells the service manager how this process is; silent when there is none."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_s = _watchdog_s(environ)
        """How often `alive` must be said at least, or 0."""

    def ready(self, status: str) -> None:
        """Serving."""
        self._say(f"READY=1\nSTATUS={status}")

    def alive(self) -> None:
        """Still turning."""
        self._say("WATCHDOG=1")

    def stopping(self, status: str) -> None:
        """About to end."""
        self._say(f"STOPPING=1\nSTATUS={status}")

    def _say(self, text: str) -> None:
        if not self._address:
            return
        with (
            contextlib.suppress(OSError),  # a manager that does not listen must not end the service
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock,
        ):
            sock.sendto(text.encode(), self._address)


def _watchdog_s(environ: Mapping[str, str]) -> float:
    """Half of the manager's limit, as sd_watchdog_enabled(3) advises."""
    pid = environ.get("WATCHDOG_PID", "")
    if pid and pid != str(os.getpid()):
        return 0.0
    try:
        return int(environ.get("WATCHDOG_USEC", "0")) / 1_000_000 / 2
    except ValueError:
        return 0.0
