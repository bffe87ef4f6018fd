"""What changes the list of mailboxes, inside a transaction of one account's database.

A UIDVALIDITY comes in as an argument, taken from the site's counter and committed before. A mailbox keeps its value
when it is renamed, unless the new name once had a greater one (RFC 9051 §2.3.1.1): `names_used` remembers that.
"""

from __future__ import annotations

import sqlite3

from ..names import DEPTH_LIMIT_COUNT, USUAL_MAILBOXES, levels_above
from ..values import INBOX, SEPARATOR, BadMailboxName, MailboxExists, OverQuota
from .account_changes import let_go, mailbox_id_of
from .schema import ACCOUNT_SCHEMA, ACCOUNT_VERSION, create
from .transfers import transfer_rows

MAILBOX_LIMIT_COUNT = 10_000
"""Beyond what people have; a runaway script stops here and not at the end of the disk."""

VALUES_PER_CREATE_COUNT = DEPTH_LIMIT_COUNT
"""A create may need a UIDVALIDITY for each level of the name."""


def create_account(db: sqlite3.Connection, name: str, first_validity: int) -> None:
    """The tables and the usual mailboxes, unless another process was first."""
    if db.execute("PRAGMA user_version").fetchone()[0]:
        return
    create(db, ACCOUNT_SCHEMA, ACCOUNT_VERSION)
    db.execute("INSERT INTO account VALUES (?, 1, 0, 0, 0, 0)", (name,))
    for uid_validity, (mailbox, special_use) in enumerate(USUAL_MAILBOXES, first_validity):
        add_mailbox(db, mailbox, uid_validity, special_use)
        subscribe(db, mailbox, subscribed=True)


def add_mailbox(db: sqlite3.Connection, name: str, uid_validity: int, special_use: str = "") -> int:
    """A new, empty mailbox; its id."""
    (modseq,) = db.execute("SELECT modseq FROM account").fetchone()
    mailbox_id = db.execute(
        "INSERT INTO mailboxes (name, uid_validity, uid_next, highest_modseq, message_count, unseen_count,"
        " deleted_count, size_bytes, special_use) VALUES (?, ?, 1, ?, 0, 0, 0, 0, ?)",
        (name, uid_validity, modseq, special_use),
    ).lastrowid
    assert mailbox_id is not None
    remember_name(db, name, uid_validity)
    return mailbox_id


def remember_name(db: sqlite3.Connection, name: str, uid_validity: int) -> None:
    """Keeps the greatest UIDVALIDITY that a name ever had."""
    db.execute(
        "INSERT INTO names_used VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET uid_validity = max(uid_validity, excluded.uid_validity)",
        (name, uid_validity),
    )


def exists(db: sqlite3.Connection, name: str) -> bool:
    """Whether a mailbox has the name."""
    return db.execute("SELECT 1 FROM mailboxes WHERE name = ?", (name,)).fetchone() is not None


def create_mailbox(db: sqlite3.Connection, name: str, special_use: str, first_validity: int) -> None:
    """CREATE, with the missing levels above (RFC 9051 §6.3.4). Raises MailboxExists, OverQuota."""
    if exists(db, name):
        raise MailboxExists(name)
    missing = [level for level in levels_above(name) if not exists(db, level)]
    (count,) = db.execute("SELECT count(*) FROM mailboxes").fetchone()
    if count + len(missing) >= MAILBOX_LIMIT_COUNT:
        raise OverQuota(f"an account has at most {MAILBOX_LIMIT_COUNT} mailboxes")
    for uid_validity, level in enumerate(missing, first_validity):
        add_mailbox(db, level, uid_validity)
    add_mailbox(db, name, first_validity + len(missing), special_use)


def delete_mailbox(db: sqlite3.Connection, name: str) -> tuple[int, list[str]]:
    """DELETE: the id that went, and the files no longer referred to. Raises NoSuchMailbox, BadMailboxName."""
    if name == INBOX:
        raise BadMailboxName("INBOX cannot be deleted")
    mailbox_id = mailbox_id_of(db, name)
    rows = db.execute("SELECT letter_id FROM messages WHERE mailbox_id = ?", (mailbox_id,)).fetchall()
    db.execute(
        "UPDATE account AS a SET size_bytes = a.size_bytes - m.size_bytes,"
        " message_count = a.message_count - m.message_count FROM mailboxes AS m WHERE m.mailbox_id = ?",
        (mailbox_id,),
    )
    for table in ("messages", "expunged", "url_keys", "mailboxes"):
        db.execute(f"DELETE FROM {table} WHERE mailbox_id = ?", (mailbox_id,))
    return mailbox_id, let_go(db, [letter_id for (letter_id,) in rows])


def rename_mailbox(db: sqlite3.Connection, old: str, new: str, first_validity: int, now_s: int) -> None:
    """RENAME with everything below (RFC 9051 §6.3.6). Raises NoSuchMailbox, MailboxExists, BadMailboxName."""
    mailbox_id = mailbox_id_of(db, old)
    if exists(db, new):
        raise MailboxExists(new)
    if old == INBOX:
        rename_inbox(db, mailbox_id, new, first_validity, now_s)
        return
    if new.startswith(old + SEPARATOR):
        raise BadMailboxName("a mailbox cannot be renamed into itself")
    below = old + SEPARATOR
    rows = db.execute(
        "SELECT mailbox_id, name, uid_validity FROM mailboxes WHERE name = ? OR substr(name, 1, ?) = ? ORDER BY name",
        (old, len(below), below),
    ).fetchall()
    moved = [(identity, new + name[len(old) :], validity) for identity, name, validity in rows]
    for _, name, _ in moved:
        if exists(db, name):
            raise MailboxExists(name)
    missing = [level for level in levels_above(new) if not exists(db, level) and level != old]
    for uid_validity, level in enumerate(missing, first_validity):
        add_mailbox(db, level, uid_validity)
    fresh_validity = first_validity + len(missing)
    for identity, name, validity in moved:
        used = db.execute("SELECT uid_validity FROM names_used WHERE name = ?", (name,)).fetchone()
        kept = validity
        if used is not None and used[0] > validity:
            kept, fresh_validity = fresh_validity, fresh_validity + 1
        db.execute(
            "UPDATE mailboxes SET name = ?, uid_validity = ? WHERE mailbox_id = ?", (name, kept, identity)
        )
        remember_name(db, name, kept)


def rename_inbox(db: sqlite3.Connection, inbox_id: int, new: str, first_validity: int, now_s: int) -> None:
    """Moves INBOX's messages to a new mailbox; INBOX stays, and so does what is below it."""
    create_mailbox(db, new, "", first_validity)
    rows = db.execute(
        "SELECT uid, flags, size_bytes, letter_id, keywords, received_at_s, sha256 FROM messages"
        " WHERE mailbox_id = ? ORDER BY uid",
        (inbox_id,),
    ).fetchall()
    transfer_rows(db, inbox_id, mailbox_id_of(db, new), rows, now_s, moving=True)


def subscribe(db: sqlite3.Connection, name: str, *, subscribed: bool) -> None:
    """SUBSCRIBE and UNSUBSCRIBE."""
    if subscribed:
        db.execute("INSERT OR IGNORE INTO subscriptions VALUES (?)", (name,))
    else:
        db.execute("DELETE FROM subscriptions WHERE name = ?", (name,))


def set_quota(db: sqlite3.Connection, quota_bytes: int) -> None:
    """Writes the quota where deliveries find it, if it is another."""
    db.execute("UPDATE account SET quota_bytes = ? WHERE quota_bytes <> ?", (quota_bytes, quota_bytes))
