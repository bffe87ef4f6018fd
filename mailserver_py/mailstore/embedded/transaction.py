"""One durable transaction for the steps of many callers, and the rule after a failed sync.

A step refuses with a StoreError before or after its first write; its savepoint takes back what it did, the other
steps stand. An error of the disk ends the whole transaction: nobody in it was promised anything.

After a failed sync the kernel may have dropped the pages and called them clean, so asking again proves nothing (the
"fsyncgate" of 2018). The log then holds a commit that was refused to its callers, and whoever opens the database next
would find and apply it. `overwrite_refused` writes an empty commit over it at the same place of the log.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .refusals import refusal
from .schema import SYNCHRONOUS, patiently

SYNC_FAILURES = frozenset(
    {sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC, sqlite3.SQLITE_IOERR_CLOSE}
)


class SyncFailed(Exception):
    """A sync failed: nothing that this process wrote may be promised from now on."""


class Step:
    """One caller's part of a transaction; afterwards `error` or `result` is set."""

    __slots__ = ("error", "result", "run")

    def __init__(self, run: Callable[[sqlite3.Connection], Any]) -> None:
        self.run = run
        self.result: Any = None
        self.error: BaseException | None = None


def sync_folder(path: Path | str) -> None:
    """Makes the names in a folder durable. Raises SyncFailed."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        raise SyncFailed(f"cannot sync {path}: {error.strerror}") from error
    finally:
        os.close(handle)


@contextlib.contextmanager
def sync_failures() -> Iterator[None]:
    """Tells a failed sync from SQLite's other errors. Raises SyncFailed."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode in SYNC_FAILURES:
            raise SyncFailed(f"cannot sync the index: {error}") from error
        raise


def begin(connection: sqlite3.Connection) -> None:
    """Takes the write lock, waiting for other processes. Raises sqlite3.OperationalError when it takes too long."""
    patiently(lambda: connection.execute("BEGIN IMMEDIATE"))


def transact(connection: sqlite3.Connection, steps: Sequence[Step]) -> None:
    """Runs the steps and commits. Every step ends with a result or an error.

    Raises SyncFailed after the commit could not be synced; the steps then carry StoreUnavailable.
    """
    try:
        begin(connection)
        if len(steps) == 1:
            run_alone(connection, steps[0])
        else:
            for step in steps:
                run_step(connection, step)
        if connection.in_transaction:
            connection.execute("COMMIT")
    except (sqlite3.Error, OSError) as error:
        refuse(steps, error)
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if getattr(error, "sqlite_errorcode", 0) in SYNC_FAILURES:
            overwrite_refused(connection)
            raise SyncFailed(f"cannot sync the index: {error}") from error


def run_alone(connection: sqlite3.Connection, step: Step) -> None:
    """Runs the only step of a transaction, which needs no savepoint. Raises what `run_step` raises."""
    try:
        step.result = step.run(connection)
    except (sqlite3.OperationalError, OSError):
        raise
    except Exception as error:  # a refusal or a bug: nothing of it stays
        step.error = error
        connection.execute("ROLLBACK")


def run_step(connection: sqlite3.Connection, step: Step) -> None:
    """Runs one step inside its savepoint. Raises only what ends the whole transaction."""
    connection.execute("SAVEPOINT step")
    try:
        step.result = step.run(connection)
    except (sqlite3.OperationalError, OSError):
        raise
    except Exception as error:  # a refusal or a bug belongs to this caller alone
        connection.execute("ROLLBACK TO step")
        step.error = error
    connection.execute("RELEASE step")


def refuse(steps: Sequence[Step], error: BaseException) -> None:
    """Gives every step that is not refused already the temporary error."""
    for step in steps:
        if step.error is None:
            step.error = refusal("the index cannot be written", error)


def overwrite_refused(connection: sqlite3.Connection) -> None:
    """Puts an empty commit in the log over the one that was refused. Nothing is promised by it, so it is not synced."""
    try:
        connection.execute("PRAGMA synchronous = OFF")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    finally:
        # The last connection to close carries the log over; that must be synced, or what was promised could go.
        connection.execute(f"PRAGMA synchronous = {SYNCHRONOUS}")


def checkpoint(connection: sqlite3.Connection, mode: str = "PASSIVE") -> None:
    """Carries a log over into its database; `TRUNCATE` also gives back the log's room, if nobody reads. Raises
    SyncFailed when that cannot be synced."""
    try:
        connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            return  # another process does it, or reads old pages: next time
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL:
            return  # no room in the database yet; the log keeps what was promised
        raise SyncFailed(f"cannot carry the log over: {error}") from error
