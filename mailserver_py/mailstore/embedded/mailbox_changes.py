"""What changes the list of mailboxes, inside a transaction of one account's database.

A UIDVALIDITY comes in as an argument, taken from the site's counter and committed before. A mailbox keeps its value
when it is renamed, unless the new name once had a greater one (RFC 9051 §2.3.1.1): `names_used` remembers that.
"""

from __future__ import annotations

import sqlite3
from dataclasses import fields

from ..names import DEPTH_LIMIT_COUNT, USUAL_MAILBOXES, levels_above
from ..values import INBOX, SEPARATOR, AccountRules, BadMailboxName, MailboxExists, OverQuota
from .account_changes import mailbox_id_of
from .removals import keep_or_let_go
from .schema import ACCOUNT_SCHEMA, ACCOUNT_VERSION, create
from .transfers import transfer_rows

MAILBOX_LIMIT_COUNT = 10_000
"""Beyond what people have; a runaway script stops here and not at the end of the disk."""

RULE_COLUMNS = tuple(field.name for field in fields(AccountRules))
SET_RULES = (
    f"UPDATE account SET ({', '.join(RULE_COLUMNS)}) = ({', '.join('?' for _ in RULE_COLUMNS)})"
    f" WHERE ({', '.join(RULE_COLUMNS)}) IS NOT ({', '.join('?' for _ in RULE_COLUMNS)})"
)

VALUES_PER_CREATE_COUNT = DEPTH_LIMIT_COUNT
"""A create may need a UIDVALIDITY for each level of the name."""


def create_account(db: sqlite3.Connection, name: str, first_validity: int) -> None:
    """The tables and the usual mailboxes, unless another process was first."""
    if db.execute("PRAGMA user_version").fetchone()[0]:
        return
    create(db, ACCOUNT_SCHEMA, ACCOUNT_VERSION)
    db.execute(
        "INSERT INTO account (name, modseq, size_bytes, message_count, quota_bytes, done_below)"
        " VALUES (?, 1, 0, 0, 0, 0)",
        (name,),
    )
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
    count, limit_count = db.execute(
        "SELECT (SELECT count(*) FROM mailboxes), mailbox_limit_count FROM account"
    ).fetchone()
    limit_count = min(limit_count or MAILBOX_LIMIT_COUNT, MAILBOX_LIMIT_COUNT)
    if count + len(missing) >= limit_count:
        raise OverQuota(f"{count} of {limit_count} mailboxes are there, {len(missing) + 1} more do not fit")
    for uid_validity, level in enumerate(missing, first_validity):
        add_mailbox(db, level, uid_validity)
    add_mailbox(db, name, first_validity + len(missing), special_use)


def delete_mailbox(db: sqlite3.Connection, name: str, now_s: int) -> tuple[int, list[str]]:
    """DELETE: the id that went, and the files no longer referred to. Raises NoSuchMailbox, BadMailboxName."""
    if name == INBOX:
        raise BadMailboxName("INBOX cannot be deleted")
    mailbox_id = mailbox_id_of(db, name)
    rows = db.execute(
        "SELECT uid, flags, size_bytes, letter_id FROM messages WHERE mailbox_id = ?", (mailbox_id,)
    ).fetchall()
    hashes = keep_or_let_go(db, mailbox_id, rows, now_s)
    db.execute(
        "UPDATE account AS a SET size_bytes = a.size_bytes - m.size_bytes,"
        " message_count = a.message_count - m.message_count FROM mailboxes AS m WHERE m.mailbox_id = ?",
        (mailbox_id,),
    )
    for table in ("messages", "expunged", "url_keys", "mailboxes"):
        db.execute(f"DELETE FROM {table} WHERE mailbox_id = ?", (mailbox_id,))
    return mailbox_id, hashes


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


def set_rules(db: sqlite3.Connection, rules: AccountRules) -> None:
    """Writes the account's rules where every process finds them, if they are others."""
    db.execute(SET_RULES, (*rule_values(rules), *rule_values(rules)))


def rule_values(rules: AccountRules) -> list[int]:
    """In the order of RULE_COLUMNS."""
    return [int(getattr(rules, column)) for column in RULE_COLUMNS]
