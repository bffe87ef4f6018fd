"""What reads one account's database, each inside one reading transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from ..values import INBOX, SAVED_AT, Changes, Digest, Mailbox, Message, NoSuchMailbox, Usage
from .account_changes import MESSAGE_COLUMNS, WANTED

MAILBOX_COLUMNS = (
    "mailbox_id, name, uid_validity, uid_next, highest_modseq, message_count, unseen_count, deleted_count, size_bytes,"
    " EXISTS (SELECT 1 FROM subscriptions AS s WHERE s.name = m.name), special_use"
)
DIGEST_COLUMNS = {field.name: f"d.{field.name}" for field in fields(Digest)} | {SAVED_AT: f"m.{SAVED_AT}"}


def make_mailbox(row: Sequence[Any]) -> Mailbox:
    """A row of MAILBOX_COLUMNS as a value."""
    values = list(row)
    values[9] = bool(values[9])
    return Mailbox(*values)


def list_mailboxes(db: sqlite3.Connection) -> list[Mailbox]:
    """All mailboxes, INBOX first."""
    rows = db.execute(
        f"SELECT {MAILBOX_COLUMNS} FROM mailboxes AS m ORDER BY name <> ?, name",
        (INBOX,),
    )
    return [make_mailbox(row) for row in rows.fetchall()]


def list_subscriptions(db: sqlite3.Connection) -> list[str]:
    """Subscribed names."""
    return [name for (name,) in db.execute("SELECT name FROM subscriptions ORDER BY name").fetchall()]


def mailbox_by(db: sqlite3.Connection, column: str, value: str | int) -> Mailbox:
    """One mailbox, by `name` or `mailbox_id`. Raises NoSuchMailbox."""
    row = db.execute(
        f"SELECT {MAILBOX_COLUMNS} FROM mailboxes AS m WHERE {column} = ?",
        (value,),
    ).fetchone()
    if row is None:
        raise NoSuchMailbox(str(value))
    return make_mailbox(row)


def messages(db: sqlite3.Connection, mailbox_id: int) -> list[Message]:
    """Every message of a mailbox, by UID."""
    rows = db.execute(
        f"SELECT {MESSAGE_COLUMNS} FROM messages WHERE mailbox_id = ? ORDER BY uid",
        (mailbox_id,),
    ).fetchall()
    if not rows:
        mailbox_by(db, "mailbox_id", mailbox_id)
    return list(map(Message._make, rows))


def changes(db: sqlite3.Connection, mailbox_id: int, since_modseq: int) -> Changes:
    """What changed in a mailbox after a MODSEQ."""
    mailbox = mailbox_by(db, "mailbox_id", mailbox_id)
    if mailbox.highest_modseq <= since_modseq:
        return Changes(mailbox, [], [])
    rows = db.execute(
        f"SELECT {MESSAGE_COLUMNS} FROM messages WHERE mailbox_id = ? AND modseq > ? ORDER BY uid",
        (mailbox_id, since_modseq),
    ).fetchall()
    gone = db.execute(
        "SELECT uid FROM expunged WHERE mailbox_id = ? AND modseq > ? ORDER BY uid",
        (mailbox_id, since_modseq),
    ).fetchall()
    return Changes(mailbox, list(map(Message._make, rows)), [uid for (uid,) in gone])


def digests(
    db: sqlite3.Connection, mailbox_id: int, uids: Sequence[int], columns: Sequence[str]
) -> list[tuple[object, ...]]:
    """Rows of (uid, *columns, sha256 or None): with a hash, nothing is kept for the letter and its digest is None."""
    unknown = set(columns) - set(DIGEST_COLUMNS)
    if unknown:
        raise ValueError(f"no columns of a digest: {sorted(unknown)}")
    wanted = "".join(f"{DIGEST_COLUMNS[column]}, " for column in columns)
    select = (
        f"SELECT m.uid, {wanted}CASE WHEN d.letter_id IS NULL THEN m.sha256 END"
        " FROM messages AS m LEFT JOIN digests AS d USING (letter_id) WHERE m.mailbox_id = ?"
    )
    if is_run(uids):
        return db.execute(
            f"{select} AND m.uid BETWEEN ? AND ? ORDER BY m.uid", (mailbox_id, uids[0], uids[-1])
        ).fetchall()
    return db.execute(
        f"{select} AND m.{WANTED} ORDER BY m.uid", (mailbox_id, json.dumps(list(uids)))
    ).fetchall()


def is_run(uids: Sequence[int]) -> bool:
    """Whether the UIDs are consecutive; then a range says it, without a list."""
    return len(uids) > 0 and uids[-1] - uids[0] == len(uids) - 1


def letters(db: sqlite3.Connection, mailbox_id: int, uids: Sequence[int]) -> list[tuple[int, str, int]]:
    """Rows of (uid, hash, size)."""
    return db.execute(
        f"SELECT uid, sha256, size_bytes FROM messages WHERE mailbox_id = ? AND {WANTED} ORDER BY uid",
        (mailbox_id, json.dumps(list(uids))),
    ).fetchall()


def usage(db: sqlite3.Connection) -> Usage:
    """What the account holds."""
    return Usage(
        *db.execute(
            "SELECT size_bytes, message_count, quota_bytes, (SELECT count(*) FROM mailboxes), message_limit_count,"
            " mailbox_limit_count, grace_bytes FROM account"
        ).fetchone()
    )
