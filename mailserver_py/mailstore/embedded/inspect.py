"""Looks at a share of the store, night by night, until all was seen; then from the beginning (`Store.inspect`).

A share is whole folders of letters (one of 256), because the accounts can be asked which letters of one folder they
refer to by a range of their index. So it costs no memory for a whole store, and one look into each account.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from typing import TYPE_CHECKING

from ...errors import OperatorError
from ..keeping import Inspection
from .check import YOUNG_S, file_fault, still_wanted
from .files import FOLDERS
from .release import release_files
from .schema import ACCOUNT_VERSION, connect, made_mark, version_of
from .transaction import checkpoint

if TYPE_CHECKING:
    from .store import EmbeddedStore

FOLDERS_LIMIT_COUNT = 64
"""Of one look: a small store is seen whole in four nights, a large one is bounded by its octets."""

LOG_LEAST_BYTES = 64 * 1024
"""A shorter write-ahead log is left to the next look."""

IN_FOLDER = "SELECT sha256, size_bytes FROM letters WHERE sha256 >= ? AND sha256 < ?"


def inspect_store(store: EmbeddedStore, start: str, limit_bytes: int) -> Inspection:
    """The look, in a thread. Raises SyncFailed, OSError, sqlite3.Error, OperatorError."""
    log_count = carry_logs_over(store)
    first = FOLDERS.index(start) if start in FOLDERS else 0
    file_count = size_bytes = orphan_count = 0
    damaged: list[str] = []
    end = min(first + FOLDERS_LIMIT_COUNT, len(FOLDERS))
    for number in range(first, end):
        if size_bytes >= limit_bytes:
            end = number
            break
        folder = FOLDERS[number]
        wanted, is_whole = wanted_in(store, folder)
        for sha256, letter_bytes in sorted(wanted.items()):
            fault = file_fault(store, sha256, letter_bytes)
            if fault and still_wanted(store, sha256):
                damaged.append(f"letter {sha256}: {fault}")
        file_count += len(wanted)
        size_bytes += sum(wanted.values())
        if is_whole:
            orphan_count += remove_orphans(store, folder, wanted)
    next_start = FOLDERS[end] if end < len(FOLDERS) else ""
    return Inspection(next_start, file_count, size_bytes, damaged, orphan_count, log_count)


def wanted_in(store: EmbeddedStore, folder: str) -> tuple[dict[str, int], bool]:
    """The letters of one folder that anything refers to, with their sizes; and whether everybody could be asked."""
    span = (folder, f"{folder}g")
    with store.site.reading() as site:
        wanted: dict[str, int] = dict(site.execute(IN_FOLDER, span).fetchall())
    is_whole = True
    for path in store.shelf.list_folders():
        if not path.exists():
            is_whole = is_whole and not made_mark(path).exists()
            continue
        try:
            with contextlib.closing(connect(path, writing=False)) as db:
                if version_of(db, path, ACCOUNT_VERSION):
                    wanted.update(db.execute(IN_FOLDER, span).fetchall())
                else:
                    is_whole = is_whole and not made_mark(path).exists()
        except (sqlite3.Error, OperatorError):
            is_whole = False  # `check` says what is wrong with it
    return wanted, is_whole


def remove_orphans(store: EmbeddedStore, folder: str, wanted: dict[str, int]) -> int:
    """Removes old files of one folder that nobody refers to; how many."""
    old_before_s = store.clock() - YOUNG_S
    with os.scandir(store.files.blobs / folder) as entries:
        names = {
            folder + entry.name
            for entry in entries
            if entry.stat(follow_symlinks=False).st_ctime < old_before_s
        }
    orphans = names - wanted.keys()
    if not orphans:
        return 0
    release_files(store, orphans)
    return sum(not os.path.exists(store.files.place(sha256)) for sha256 in orphans)


def carry_logs_over(store: EmbeddedStore) -> int:
    """Carries over the logs of accounts that nobody writes much to; how many. Raises SyncFailed."""
    count = 0
    for path in store.shelf.list_folders():
        log = path.with_name(path.name + "-wal")
        try:
            if log.stat().st_size < LOG_LEAST_BYTES:
                continue
        except OSError:
            continue
        with contextlib.suppress(sqlite3.OperationalError):
            with contextlib.closing(connect(path, writing=True)) as connection:
                checkpoint(connection, "TRUNCATE")
            count += 1
    return count
