"""The bus: what one process commits, the others hear at once. Unix datagrams, one socket per process in one
folder.

A datagram holds lines `account NUL mailbox-id`. It only ever says "look again", so it may be merged, repeated
and overtaken, but not lost: what a full socket does not take is kept, merged, and tried again. Who may write
into the folder is decided by its owner and mode; what cannot be read as lines is dropped all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from mailserver_py.errors import WorldError

DATAGRAM_LIMIT_BYTES = 60_000
"""Below the default send buffer of a Unix socket (net.core.wmem_default, 208 KiB), with room for its
bookkeeping.
"""

RETRY_S = 0.005
"""After a full socket: its reader empties it within a turn of its loop, and 100 ms is what an IDLE client may
wait.
"""

CLOCK_TICK_NS = 50_000_000
"""Well above the ticks that file times are taken from (at most 10 ms)."""

SUFFIX = ".bus"

Change = tuple[str, int]
"""(account, mailbox id), as `mailstore.Changed` has them; this room does not know that one."""


class Bus:
    """This process's end. `name` is unique among the processes on the folder."""

    def __init__(self, folder: Path, name: str, hear: Callable[[str, int], None]) -> None:
        """Binds at once. Raises WorldError when the folder cannot be used."""
        self._loop = asyncio.get_running_loop()
        self._folder = folder
        self._hear = hear
        self._own = name + SUFFIX
        self._path = folder / self._own
        try:
            self._folder_fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise WorldError(f"{folder}: {error.strerror}") from error
        # A socket's name has 107 octets at most (unix(7)); by way of the descriptor a deep folder costs few
        # of them.
        self._short = f"/proc/self/fd/{self._folder_fd}"
        self._listed: tuple[int, tuple[str, ...]] = (-1, ())
        self._waiting: dict[Change, None] = {}
        self._kept: dict[str, dict[Change, None]] = {}
        self._scheduled: asyncio.Handle | None = None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._path.unlink(missing_ok=True)
            self._socket.bind(f"{self._short}/{self._own}")
        except OSError as error:
            self._socket.close()
            os.close(self._folder_fd)
            raise WorldError(f"{self._path}: {error.strerror}") from error
        self._loop.add_reader(self._socket.fileno(), self._receive)

    def tell(self, account: str, mailbox_id: int) -> None:
        """Tells all the others, within this turn of the loop; changes of one turn share a datagram."""
        self._waiting[account, mailbox_id] = None
        if self._scheduled is None:
            self._scheduled = self._loop.call_soon(self._send)

    def gone(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of some names behind which no process listens any more, or yet. In doubt a process lives: an error
        that says nothing of the other end, or a folder that somebody emptied under us, makes nobody gone."""
        if not self._listens(self._own):
            return ()
        return tuple(name for name in names if not self._listens(name + SUFFIX))

    def _listens(self, other: str) -> bool:
        """A socket's end is the process's: the kernel closes it however that dies, and leaves the name behind."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as probe:
            try:
                probe.connect(f"{self._short}/{other}")
            except (ConnectionRefusedError, FileNotFoundError):
                return False
            except OSError:
                return True
        return True

    def close(self) -> None:
        """Leaves the bus."""
        if self._scheduled is not None:
            self._scheduled.cancel()
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        self._path.unlink(missing_ok=True)
        os.close(self._folder_fd)

    def _send(self) -> None:
        self._scheduled = None
        new, self._waiting = self._waiting, {}
        others = self._others()
        for gone in set(self._kept) - set(others):
            del self._kept[gone]
        for other in others:
            changes = {**self._kept.pop(other, {}), **new}
            for datagram, part in _pack(changes):
                if not self._send_to(other, datagram):
                    self._kept.setdefault(other, {}).update(part)
        if self._kept:
            self._scheduled = self._loop.call_later(RETRY_S, self._send)

    def _send_to(self, other: str, datagram: bytes) -> bool:
        try:
            self._socket.sendto(datagram, f"{self._short}/{other}")
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                return False
            if error.errno == errno.ECONNREFUSED:  # its process died and left the name behind
                with contextlib.suppress(OSError):
                    (self._folder / other).unlink()
        return True

    def _others(self) -> tuple[str, ...]:
        """Names on the folder but ours, listed anew only when the folder changed."""
        try:
            changed_at = self._folder.stat().st_mtime_ns
            if changed_at != self._listed[0]:
                names = tuple(
                    path.name
                    for path in self._folder.iterdir()
                    if path.suffix == SUFFIX and path.name != self._own
                )
                # A second change within one tick of the file system's clock would look like none.
                settled = time.time_ns() - changed_at > CLOCK_TICK_NS
                self._listed = (changed_at if settled else -1, names)
        except OSError:
            return ()
        return self._listed[1]

    def _receive(self) -> None:
        while True:
            try:
                datagram = self._socket.recv(DATAGRAM_LIMIT_BYTES)
            except OSError:  # nothing more; errors of a datagram socket concern the datagram alone
                return
            for line in datagram.split(b"\n"):
                account, separator, mailbox_id = line.partition(b"\0")
                if separator and mailbox_id.isdigit() and len(mailbox_id) < 20:
                    self._hear(account.decode("utf-8", "replace"), int(mailbox_id))


def _pack(changes: dict[Change, None]) -> list[tuple[bytes, dict[Change, None]]]:
    """Cuts changes into datagrams, each with what it says."""
    packed: list[tuple[bytes, dict[Change, None]]] = []
    lines: list[bytes] = []
    part: dict[Change, None] = {}
    size_bytes = 0
    for change in changes:
        line = change[0].encode() + b"\0%d" % change[1]
        if size_bytes + len(line) >= DATAGRAM_LIMIT_BYTES:
            packed.append((b"\n".join(lines), part))
            lines, part, size_bytes = [], {}, 0
        lines.append(line)
        part[change] = None
        size_bytes += len(line) + 1
    if lines:
        packed.append((b"\n".join(lines), part))
    return packed
