"""The accounts' index databases: where they lie, how they are made, and how few of them are open at once.

An account's name becomes a folder by percent-encoding everything but letters, digits, `-`, `_` and inner dots and `@`;
long names end in a hash. So no name leaves the folder, and an operator still recognises each.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

from ..values import StoreUnavailable
from .schema import ACCOUNT_STEPS, ACCOUNT_VERSION, connect, made_mark, require_unmade, upgrade, version_of
from .transaction import checkpoint, sync_failures, sync_folder

OPEN_COUNT = 100
"""Accounts kept open: up to six descriptors each, well below the 1,024 that a process may have without being asked."""

READERS_KEPT_COUNT = 2
"""Idle reading connections kept by each open account; more are opened when more sessions read at once."""

PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_@.")

FOLDER_LIMIT_BYTES = 180
"""Below the 255 octets a file name may have on every common file system."""


def folder_name(account: str) -> str:
    """The folder of an account: safe, unique, readable."""
    octets = account.encode("utf-8", "surrogatepass")
    text = "".join(chr(octet) if octet in PLAIN else f"%{octet:02X}" for octet in octets)
    if text[:1] in (".", ""):
        text = "%2E" + text[1:] if text else "%"
    if len(text) > FOLDER_LIMIT_BYTES:
        return f"{text[:100]}~{hashlib.sha256(octets).hexdigest()}"
    return text


class Index:
    """One account's database: a writing connection for the writer, a few reading ones for the readers."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.path = path
        self.writing: sqlite3.Connection | None = None
        self.step_count = 0
        """Steps since the last checkpoint by this process."""
        self.idle: list[sqlite3.Connection] = []
        self.pins = 0

    def writer(self) -> sqlite3.Connection:
        """The writing connection. Raises sqlite3.Error, OperatorError, SyncFailed."""
        if self.writing is None:
            connection = connect(self.path, writing=True)
            try:
                with sync_failures():
                    upgrade(connection, self.path, ACCOUNT_VERSION, ACCOUNT_STEPS)
                # The log may be new: its name must be as durable as what will be written in it.
                sync_folder(self.path.parent)
            except BaseException:
                connection.close()
                raise
            self.writing = connection
        return self.writing

    def is_made(self) -> bool:
        """Whether the account's tables are there. Raises sqlite3.Error, OperatorError."""
        if self.path.exists() and version_of(self.writer(), self.path, ACCOUNT_VERSION) > 0:
            return True
        require_unmade(self.path, "restore it from the backup")
        return False

    def checkpoint(self) -> None:
        """Carries the log over into the database. Raises SyncFailed."""
        self.step_count = 0
        if self.writing is not None:
            checkpoint(self.writing)

    def drop_writer(self) -> None:
        """Closes the writing connection, after an error or to save descriptors."""
        connection, self.writing = self.writing, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A reading connection inside one transaction: everything read belongs to one committed state."""
        try:
            connection = self.idle.pop()
        except IndexError:
            connection = connect(self.path, writing=False)
        try:
            connection.execute("BEGIN")
            yield connection
        except sqlite3.Error:
            connection.close()
            raise
        except BaseException:
            self.give_back(connection)
            raise
        self.give_back(connection)

    def give_back(self, connection: sqlite3.Connection) -> None:
        """Ends the reading transaction and keeps the connection, or closes it when there are enough."""
        connection.execute("COMMIT")
        if len(self.idle) < READERS_KEPT_COUNT:
            self.idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Closes every connection."""
        while self.idle:
            with contextlib.suppress(sqlite3.Error):
                self.idle.pop().close()
        self.drop_writer()


class Shelf:
    """The open accounts, least recently used first; used by several threads."""

    def __init__(self, root: Path, open_count: int = OPEN_COUNT) -> None:
        self.root = root
        self.open_count = open_count
        self.lock = threading.Lock()
        self.open: OrderedDict[str, Index] = OrderedDict()
        root.mkdir(mode=0o700, exist_ok=True)
        sync_folder(root.parent)

    def path(self, name: str) -> Path:
        """Where an account's database lies."""
        return self.root / folder_name(name) / "index.db"

    @contextlib.contextmanager
    def using(self, name: str) -> Iterator[Index]:
        """The account's index, kept open at least until the block ends."""
        index = self.pin(name)
        try:
            yield index
        finally:
            self.unpin(index)

    def pin(self, name: str) -> Index:
        """The account's index; it stays open until `unpin`."""
        with self.lock:
            index = self.open.get(name)
            if index is None:
                index = self.open[name] = Index(name, self.path(name))
            else:
                self.open.move_to_end(name)
            index.pins += 1
            surplus = self.take_surplus()
        for old in surplus:
            old.close()
        return index

    def unpin(self, index: Index) -> None:
        """Lets an index be closed again."""
        with self.lock:
            index.pins -= 1

    def drop(self, name: str) -> None:
        """Closes an account, if it is open. Raises StoreUnavailable while it is in use."""
        with self.lock:
            index = self.open.get(name)
            if index is not None and index.pins:
                raise StoreUnavailable("the account is in use")
            self.open.pop(name, None)
        if index is not None:
            index.close()

    def take_surplus(self) -> list[Index]:
        """Takes what is beyond the limit and not in use off the shelf."""
        surplus: list[Index] = []
        if len(self.open) > self.open_count:
            for name in [name for name, index in self.open.items() if index.pins == 0]:
                if len(self.open) <= self.open_count:
                    break
                surplus.append(self.open.pop(name))
        return surplus

    def list_folders(self) -> list[Path]:
        """The database of every account there is; a folder whose making was cut short before there was one has none."""
        paths = (self.root / name / "index.db" for name in os.listdir(self.root))
        return sorted(path for path in paths if path.exists() or made_mark(path).exists())

    def close(self) -> None:
        """Closes every account."""
        with self.lock:
            indexes = list(self.open.values())
            self.open.clear()
        for index in indexes:
            index.close()


@contextlib.contextmanager
def store_errors() -> Iterator[None]:
    """Turns the engine's errors while reading into the store's."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreUnavailable(f"the index cannot be read: {error}") from error
    except OSError as error:
        raise StoreUnavailable(f"the index cannot be opened: {error.strerror}") from error
