"""One POP3 session at a time holds a maildrop (RFC 1939 §3), in all processes of the host.

Inside a process a set says so, between processes `flock` does: the kernel lets go of it with the process,
however that ends. The files are empty and stay; there is at most one an account.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class MaildropLocks:
    """Locks by account. `folder` is shared by the host's processes; None: this process alone counts."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._held: set[str] = set()

    @contextmanager
    def hold(self, account: str) -> Iterator[bool]:
        """Tries once, without waiting; yields whether it is ours until the end of the block."""
        if account in self._held:
            yield False
            return
        self._held.add(account)
        try:
            with self._hold_file(account) as held:
                yield held
        finally:
            self._held.discard(account)

    @contextmanager
    def _hold_file(self, account: str) -> Iterator[bool]:
        if self._folder is None:
            yield True
            return
        self._folder.mkdir(mode=0o700, exist_ok=True)
        # A hash: an account's name is no file name.
        path = self._folder / hashlib.sha256(account.encode()).hexdigest()[:32]
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True
        finally:
            os.close(descriptor)
