"""What an operating system's or SQLite's error means to whoever wanted something kept."""

from __future__ import annotations

import errno
import sqlite3

from ..values import StoreFull, StoreUnavailable

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
"""Blocks, inodes, or the system's own quota have run out."""


def refusal(what: str, error: BaseException) -> StoreUnavailable:
    """The temporary error to answer with: `StoreFull` when room would help, else `StoreUnavailable`."""
    full = (isinstance(error, OSError) and error.errno in NO_ROOM) or (
        isinstance(error, sqlite3.Error)
        and getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
    )
    why = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    return (StoreFull if full else StoreUnavailable)(f"{what}: {why}")
