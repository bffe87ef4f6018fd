"""The site's database: the queue, the counters, and the files on their way out. One writing connection, for the writer
thread; readers take turns with another one."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..values import StoreUnavailable
from .schema import (
    SITE_SCHEMA,
    SITE_VERSION,
    connect,
    create,
    made_mark,
    require_unmade,
    version_of,
)
from .transaction import Step, begin, checkpoint, sync_folder, transact


class Site:
    """`root/site.db`."""

    def __init__(self, root: Path) -> None:
        self.path = root / "site.db"
        self.step_count = 0
        self.writing: sqlite3.Connection | None = self.open()
        self.lock = threading.Lock()
        """Held by the reader's user; the reading connection is one."""
        self.reader: sqlite3.Connection | None = None

    def open(self) -> sqlite3.Connection:
        """The writing connection; makes the database when there is none. Raises OperatorError, sqlite3.Error."""
        connection = connect(self.path, writing=True)
        try:
            if not version_of(connection, self.path, SITE_VERSION):
                require_unmade(
                    self.path,
                    "restore it from the backup; to go on with an empty queue (letters on their way are lost),"
                    f" remove {made_mark(self.path)}",
                )
                begin(connection)
                if not version_of(connection, self.path, SITE_VERSION):
                    create(connection, SITE_SCHEMA, SITE_VERSION)
                connection.execute("COMMIT")
            made_mark(self.path).touch(0o600)
            sync_folder(self.path.parent)
        except BaseException:
            connection.close()
            raise
        return connection

    def transact(self, steps: Sequence[Step]) -> None:
        """One durable transaction. Raises SyncFailed."""
        if self.writing is None:
            try:
                self.writing = self.open()
            except (sqlite3.Error, OSError) as error:
                for step in steps:
                    step.error = StoreUnavailable(f"the site's database cannot be opened: {error}")
                return
        try:
            transact(self.writing, steps)
        finally:
            if any(isinstance(step.error, StoreUnavailable) for step in steps):
                self.drop_writer()
        self.step_count += len(steps)

    def checkpoint(self, step_count: int) -> None:
        """Carries the log over after so many steps. Raises SyncFailed."""
        if self.step_count >= step_count and self.writing is not None:
            self.step_count = 0
            checkpoint(self.writing)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The reading connection, inside one transaction."""
        with self.lock:
            if self.reader is None:
                self.reader = connect(self.path, writing=False)
            try:
                self.reader.execute("BEGIN")
                yield self.reader
            finally:
                with contextlib.suppress(sqlite3.Error):
                    self.reader.execute("COMMIT")

    def drop_writer(self) -> None:
        """Closes the writing connection after an error."""
        connection, self.writing = self.writing, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def close(self) -> None:
        """Closes both."""
        with self.lock:
            if self.reader is not None:
                self.reader.close()
                self.reader = None
        self.drop_writer()
