"""The embedded engine's databases: their tables, their versions, and how a connection to one is made.

WAL with `synchronous=FULL`: a commit returns after the log is synced. With NORMAL, which many take for safe in WAL
mode, a power cut loses every commit since the last checkpoint (measured: 0 of 200 kept). Checkpoints are not left to
SQLite (`wal_autocheckpoint=0`): it would run them inside a commit that somebody waits for, and hide a failing sync.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from ...errors import OperatorError, Reason

T = TypeVar("T")

SYNCHRONOUS = "FULL"

SITE_VERSION = 1
ACCOUNT_VERSION = 4

BUSY_LIMIT_S = 10.0
"""How long a reader, or the making of a database, waits for another process: far above any commit, it means a hang."""

RETRY_S = 0.0003
"""Pause before asking again: a third of a commit, so that a waiter gets its turn in time."""

LOG_LIMIT_BYTES = 16 * 1024 * 1024
"""A write-ahead log is cut back to this once it has been carried over; it grows above it only under a long reader."""

STATEMENT_COUNT = 256
"""Prepared statements kept by each connection: more than the engine has, so that none is prepared twice."""

SITE_SCHEMA = """
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counters VALUES ('letter_id', 0), ('recipient_id', 0), ('uid_validity', 0);
CREATE TABLE letters (
  letter_id INTEGER PRIMARY KEY, trace_id TEXT NOT NULL, reverse_path TEXT NOT NULL, sha256 TEXT NOT NULL,
  size_bytes INTEGER NOT NULL, received_at_s INTEGER NOT NULL, account TEXT NOT NULL,
  smtputf8 INTEGER NOT NULL, eight_bit INTEGER NOT NULL);
CREATE TABLE recipients (
  recipient_id INTEGER PRIMARY KEY, letter_id INTEGER NOT NULL, forward_path TEXT NOT NULL, account TEXT NOT NULL,
  mailbox TEXT NOT NULL, original TEXT NOT NULL, state TEXT NOT NULL, attempt_count INTEGER NOT NULL,
  next_attempt_at_s INTEGER NOT NULL, last_reply TEXT NOT NULL,
  lease_owner TEXT NOT NULL, due_at_s INTEGER NOT NULL);
CREATE INDEX recipients_by_letter ON recipients (letter_id);
CREATE INDEX recipients_by_due ON recipients (due_at_s, letter_id) WHERE state = 'waiting';
CREATE INDEX recipients_by_owner ON recipients (lease_owner) WHERE lease_owner <> '';
CREATE TABLE released (note_id INTEGER PRIMARY KEY AUTOINCREMENT, sha256 TEXT NOT NULL);
"""
"""`due_at_s` is the next attempt, or the end of the lease while there is one: one index answers both questions.
`released` names files that perhaps nobody refers to any more; `release.py` finds out."""

ACCOUNT_SCHEMA = """
CREATE TABLE account (
  name TEXT NOT NULL, modseq INTEGER NOT NULL, size_bytes INTEGER NOT NULL, message_count INTEGER NOT NULL,
  quota_bytes INTEGER NOT NULL, done_below INTEGER NOT NULL,
  message_limit_count INTEGER NOT NULL DEFAULT 0, mailbox_limit_count INTEGER NOT NULL DEFAULT 0,
  grace_bytes INTEGER NOT NULL DEFAULT 0, kept_for_s INTEGER NOT NULL DEFAULT 0, is_held INTEGER NOT NULL DEFAULT 0,
  kept_count INTEGER NOT NULL DEFAULT 0, kept_bytes INTEGER NOT NULL DEFAULT 0,
  warned_percent INTEGER NOT NULL DEFAULT 0);
CREATE TABLE mailboxes (
  mailbox_id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, uid_validity INTEGER NOT NULL,
  uid_next INTEGER NOT NULL, highest_modseq INTEGER NOT NULL, message_count INTEGER NOT NULL,
  unseen_count INTEGER NOT NULL, deleted_count INTEGER NOT NULL, size_bytes INTEGER NOT NULL,
  special_use TEXT NOT NULL);
CREATE TABLE names_used (name TEXT PRIMARY KEY, uid_validity INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE subscriptions (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE keywords (folded TEXT PRIMARY KEY, spelling TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE letters (
  letter_id INTEGER PRIMARY KEY, message_count INTEGER NOT NULL, size_bytes INTEGER NOT NULL,
  sha256 TEXT NOT NULL UNIQUE);
CREATE TABLE digests (
  letter_id INTEGER PRIMARY KEY, envelope BLOB NOT NULL, bodystructure BLOB NOT NULL, body BLOB NOT NULL,
  parts BLOB NOT NULL, header_bytes INTEGER NOT NULL, sent_at_s INTEGER NOT NULL, subject TEXT NOT NULL,
  message_id TEXT NOT NULL, thread_ids TEXT NOT NULL DEFAULT '');
CREATE TABLE messages (
  mailbox_id INTEGER NOT NULL, uid INTEGER NOT NULL, modseq INTEGER NOT NULL, flags INTEGER NOT NULL,
  keywords TEXT NOT NULL, size_bytes INTEGER NOT NULL, received_at_s INTEGER NOT NULL, sha256 TEXT NOT NULL,
  letter_id INTEGER NOT NULL, saved_at_s INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (mailbox_id, uid)) WITHOUT ROWID;
CREATE INDEX messages_by_modseq ON messages (mailbox_id, modseq);
CREATE TABLE expunged (
  mailbox_id INTEGER NOT NULL, modseq INTEGER NOT NULL, uid INTEGER NOT NULL,
  PRIMARY KEY (mailbox_id, modseq, uid)) WITHOUT ROWID;
CREATE TABLE deliveries (recipient_id INTEGER PRIMARY KEY);
CREATE TABLE url_keys (mailbox_id INTEGER PRIMARY KEY, key BLOB NOT NULL);
CREATE TABLE kept (
  kept_id INTEGER PRIMARY KEY AUTOINCREMENT, mailbox_id INTEGER NOT NULL, mailbox TEXT NOT NULL, uid INTEGER NOT NULL,
  flags INTEGER NOT NULL, keywords TEXT NOT NULL, size_bytes INTEGER NOT NULL, received_at_s INTEGER NOT NULL,
  sha256 TEXT NOT NULL, letter_id INTEGER NOT NULL, expunged_at_s INTEGER NOT NULL);
"""
"""`letters` holds one row for each file the account refers to, however many messages share it; `digests` is derived
from the files and may be emptied at any time. `kept` holds what was expunged and can be taken back (`kept.py`); a
letter's count covers it. `deliveries` are the queue's recipients that already have their copy, as
are all with ids below `account.done_below`."""


ACCOUNT_STEPS: dict[int, str] = {
    1: """
ALTER TABLE messages ADD COLUMN saved_at_s INTEGER NOT NULL DEFAULT 0;
UPDATE messages SET saved_at_s = received_at_s;
CREATE TABLE url_keys (mailbox_id INTEGER PRIMARY KEY, key BLOB NOT NULL);
""",
    2: """
ALTER TABLE digests ADD COLUMN thread_ids TEXT NOT NULL DEFAULT '';
DELETE FROM digests;
""",
    3: """
ALTER TABLE account ADD COLUMN message_limit_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN mailbox_limit_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN grace_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN kept_for_s INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN is_held INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN kept_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN kept_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN warned_percent INTEGER NOT NULL DEFAULT 0;
CREATE TABLE kept (
  kept_id INTEGER PRIMARY KEY AUTOINCREMENT, mailbox_id INTEGER NOT NULL, mailbox TEXT NOT NULL, uid INTEGER NOT NULL,
  flags INTEGER NOT NULL, keywords TEXT NOT NULL, size_bytes INTEGER NOT NULL, received_at_s INTEGER NOT NULL,
  sha256 TEXT NOT NULL, letter_id INTEGER NOT NULL, expunged_at_s INTEGER NOT NULL);
""",
}
"""What leads from a version to the next. A release that knows only the old version refuses the new one."""


def patiently(run: Callable[[], T]) -> T:
    """Runs something again while another process has the database locked. Raises sqlite3.Error after BUSY_LIMIT_S.

    SQLite's own waiting is too coarse for the write lock (its pauses grow to 100 ms), and it does not wait at all where
    two processes make one database, or the last one closes it.
    """
    deadline_s = time.monotonic() + BUSY_LIMIT_S
    while True:
        try:
            return run()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline_s:
                raise
        time.sleep(RETRY_S)


def connect(path: Path, *, writing: bool) -> sqlite3.Connection:
    """A connection for one thread at a time, transactions by hand. Raises sqlite3.Error."""
    return patiently(lambda: connect_once(path, writing=writing))


def connect_once(path: Path, *, writing: bool) -> sqlite3.Connection:
    """One attempt. A writer does not wait inside SQLite; see `patiently`."""
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode={'rwc' if writing else 'rw'}",
        uri=True,
        timeout=BUSY_LIMIT_S,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=STATEMENT_COUNT,
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {SYNCHRONOUS}")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute(f"PRAGMA journal_size_limit = {LOG_LIMIT_BYTES}")
        connection.execute("PRAGMA busy_timeout = 0" if writing else "PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def version_of(connection: sqlite3.Connection, path: Path, known_version: int) -> int:
    """The schema's version; 0 for a database with no tables yet. Raises OperatorError when a later release wrote it."""
    (version,) = patiently(lambda: connection.execute("PRAGMA user_version").fetchone())
    if version > known_version:
        raise OperatorError(
            Reason(
                f"the store's schema is version {version}, this release knows versions up to {known_version}",
                cure="run the release that wrote it, or a later one; going back needs a backup from before",
                file=str(path),
            )
        )
    return int(version)


def made_mark(database: Path) -> Path:
    """An empty file beside a database that was made whole once. Tables that are missing beside it were lost: to make
    them anew would hide that, and let the letters they named go."""
    return database.with_suffix(".made")


def require_unmade(database: Path, cure: str) -> None:
    """Raises OperatorError when a database without tables had them once. It looks again: another process may have made
    it, and its mark, since the caller saw no tables."""
    if not made_mark(database).exists():
        return
    if database.exists():
        with contextlib.closing(connect(database, writing=False)) as again:
            if again.execute("PRAGMA user_version").fetchone()[0]:
                return
    raise OperatorError(Reason("the database has lost its tables", cure, str(database)))


def create(connection: sqlite3.Connection, schema: str, version: int) -> None:
    """Makes the tables inside the transaction that the caller opened."""
    for statement in schema.split(";\n"):
        if statement.strip():
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {version}")


def upgrade(connection: sqlite3.Connection, path: Path, known_version: int, steps: dict[int, str]) -> None:
    """Leads a database to the present version, step by step, unless another process was first; one that has no tables
    yet stays so. Raises sqlite3.Error, OperatorError."""
    if version_of(connection, path, known_version) in {0, known_version}:
        return
    patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
    try:
        for version in range(version_of(connection, path, known_version), known_version):
            create(connection, steps[version], version + 1)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
