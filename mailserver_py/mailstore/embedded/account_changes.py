"""What changes messages, inside a transaction of one account's database: append, deliver, flags. What takes them away
is in `removals.py`.

Each function gets the connection and plain values, and returns the port's answer. MODSEQ comes from one counter for the
account, so it also grows across mailboxes; one call uses one value.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..values import (
    INBOX,
    Appended,
    Digest,
    Flag,
    FlagChange,
    FlagsStored,
    Message,
    NoSuchMailbox,
    OverQuota,
    QueuedRecipient,
)

MESSAGE_COLUMNS = "uid, modseq, flags, keywords, size_bytes, received_at_s, sha256"
ADD_MESSAGE = (
    "INSERT INTO messages (mailbox_id, uid, modseq, flags, keywords, size_bytes, received_at_s, sha256, letter_id,"
    " saved_at_s) VALUES (?,?,?,?,?,?,?,?,?,?)"
)
WANTED = "uid IN (SELECT value FROM json_each(?))"
SEEN = int(Flag.SEEN)
DELETED = int(Flag.DELETED)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A letter about to become a message: its file is durable, its digest is made."""

    sha256: str
    size_bytes: int
    received_at_s: int
    digest: Digest | None
    """None: to be derived when somebody asks."""
    flags: int = 0
    keywords: str = ""
    saved_at_s: int = 0
    """Now: when it came into the mailbox (RFC 8514)."""


@dataclass(slots=True)
class Tally:
    """What a change adds to a mailbox's counters."""

    message_count: int = 0
    unseen_count: int = 0
    deleted_count: int = 0
    size_bytes: int = 0

    def count(self, flags: int, size_bytes: int, sign: int = 1) -> None:
        """Adds one message, or takes it away."""
        self.message_count += sign
        self.unseen_count += 0 if flags & SEEN else sign
        self.deleted_count += sign if flags & DELETED else 0
        self.size_bytes += sign * size_bytes


def mailbox_id_of(db: sqlite3.Connection, name: str) -> int:
    """The id of a mailbox. Raises NoSuchMailbox."""
    row = db.execute("SELECT mailbox_id FROM mailboxes WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise NoSuchMailbox(name)
    return int(row[0])


def require_mailbox(db: sqlite3.Connection, mailbox_id: int) -> None:
    """Raises NoSuchMailbox when it was deleted meanwhile."""
    if db.execute("SELECT 1 FROM mailboxes WHERE mailbox_id = ?", (mailbox_id,)).fetchone() is None:
        raise NoSuchMailbox(f"mailbox {mailbox_id}")


def require_room(
    db: sqlite3.Connection, more_bytes: int, more_count: int = 1, *, delivering: bool = False
) -> None:
    """Raises OverQuota when the account cannot hold so much more; a delivery may use the grace too."""
    size_bytes, quota_bytes, grace_bytes, count, limit_count = db.execute(
        "SELECT size_bytes, quota_bytes, grace_bytes, message_count, message_limit_count FROM account"
    ).fetchone()
    limit_bytes = quota_bytes + grace_bytes if delivering else quota_bytes
    if quota_bytes and size_bytes + more_bytes > limit_bytes:
        raise OverQuota(f"{size_bytes} of {quota_bytes} octets are used, {more_bytes} more do not fit")
    if limit_count and count + more_count > limit_count:
        raise OverQuota(f"{count} of {limit_count} messages are there, {more_count} more do not fit")


def take_modseq(db: sqlite3.Connection) -> int:
    """The next MODSEQ."""
    (modseq,) = db.execute("UPDATE account SET modseq = modseq + 1 RETURNING modseq").fetchone()
    return int(modseq)


def add_tally(
    db: sqlite3.Connection, mailbox_id: int, modseq: int, tally: Tally, new_uid_count: int = 0
) -> None:
    """Adds to the counters of a mailbox and of the account."""
    db.execute(
        "UPDATE mailboxes SET highest_modseq = ?, uid_next = uid_next + ?, message_count = message_count + ?,"
        " unseen_count = unseen_count + ?, deleted_count = deleted_count + ?, size_bytes = size_bytes + ?"
        " WHERE mailbox_id = ?",
        (
            modseq,
            new_uid_count,
            tally.message_count,
            tally.unseen_count,
            tally.deleted_count,
            tally.size_bytes,
            mailbox_id,
        ),
    )
    if tally.message_count or tally.size_bytes:
        db.execute(
            "UPDATE account SET size_bytes = size_bytes + ?, message_count = message_count + ?",
            (tally.size_bytes, tally.message_count),
        )


def hold_letter(db: sqlite3.Connection, letter: Incoming) -> int:
    """The account's own number for a letter, with one message more that refers to it."""
    row = db.execute(
        "UPDATE letters SET message_count = message_count + 1 WHERE sha256 = ? RETURNING letter_id",
        (letter.sha256,),
    ).fetchone()
    if row is not None:
        return int(row[0])
    letter_id = db.execute(
        "INSERT INTO letters (message_count, size_bytes, sha256) VALUES (1, ?, ?)",
        (letter.size_bytes, letter.sha256),
    ).lastrowid
    assert letter_id is not None
    if letter.digest is not None:
        keep_digest(db, letter_id, letter.digest)
    return letter_id


def keep_digest(db: sqlite3.Connection, letter_id: int, digest: Digest) -> None:
    """Writes what was derived from a letter."""
    d = digest
    db.execute(
        "INSERT OR REPLACE INTO digests VALUES (?,?,?,?,?,?,?,?,?,?)",
        (
            letter_id,
            d.envelope,
            d.bodystructure,
            d.body,
            d.parts,
            d.header_bytes,
            d.sent_at_s,
            d.subject,
            d.message_id,
            d.thread_ids,
        ),
    )


def add_messages(db: sqlite3.Connection, mailbox_id: int, letters: Sequence[Incoming]) -> Appended:
    """Puts letters at the end of a mailbox; the room for them was asked for."""
    uid_validity, uid_next = db.execute(
        "SELECT uid_validity, uid_next FROM mailboxes WHERE mailbox_id = ?", (mailbox_id,)
    ).fetchone()
    modseq = take_modseq(db)
    tally = Tally()
    rows = []
    for uid, letter in enumerate(letters, uid_next):
        keywords = spell_keywords(db, letter.keywords.split())
        tally.count(letter.flags, letter.size_bytes)
        rows.append(
            (
                mailbox_id,
                uid,
                modseq,
                letter.flags,
                keywords,
                letter.size_bytes,
                letter.received_at_s,
                letter.sha256,
                hold_letter(db, letter),
                letter.saved_at_s,
            )
        )
    db.executemany(ADD_MESSAGE, rows)
    add_tally(db, mailbox_id, modseq, tally, len(rows))
    return Appended(uid_validity, [row[1] for row in rows])


def append(db: sqlite3.Connection, mailbox: str, letters: Sequence[Incoming]) -> tuple[int, Appended]:
    """APPEND: the mailbox's id and the answer. Raises NoSuchMailbox, OverQuota."""
    mailbox_id = mailbox_id_of(db, mailbox)
    require_room(db, sum(letter.size_bytes for letter in letters), len(letters))
    return mailbox_id, add_messages(db, mailbox_id, letters)


def deliver(
    db: sqlite3.Connection, recipients: Sequence[QueuedRecipient], letter: Incoming, done_below: int
) -> set[int]:
    """Puts one letter into the mailboxes of this account's recipients, unless that was done; the mailboxes changed.

    Two recipients that lead to one mailbox get one copy. A mailbox that is gone sends the letter to INBOX: the letter
    was promised. Recipients below `done_below` have left the queue for ever; their traces go, and the account keeps the
    number, so that a process that slept through its lease adds nothing. Raises OverQuota, and then nobody got anything.
    """
    (known_below,) = db.execute("SELECT done_below FROM account").fetchone()
    if done_below > known_below:
        db.execute("DELETE FROM deliveries WHERE recipient_id < ?", (done_below,))
        db.execute("UPDATE account SET done_below = ?", (done_below,))
        known_below = done_below
    mailbox_ids: set[int] = set()
    for recipient in recipients:
        if recipient.recipient_id < known_below:
            continue
        new = db.execute("INSERT OR IGNORE INTO deliveries VALUES (?)", (recipient.recipient_id,)).rowcount
        if new:
            mailbox_ids.add(find_or_inbox(db, recipient.mailbox))
    require_room(db, len(mailbox_ids) * letter.size_bytes, len(mailbox_ids), delivering=True)
    for mailbox_id in sorted(mailbox_ids):
        add_messages(db, mailbox_id, [letter])
    return mailbox_ids


def find_or_inbox(db: sqlite3.Connection, name: str) -> int:
    """The mailbox of that name, or INBOX."""
    try:
        return mailbox_id_of(db, name)
    except NoSuchMailbox:
        return mailbox_id_of(db, INBOX)


def spell_keywords(db: sqlite3.Connection, keywords: Iterable[str]) -> str:
    """Keywords as they were first spelled in this account, sorted, joined by a space (RFC 9051 §2.3.2: any case)."""
    spellings = set()
    for keyword in keywords:
        db.execute("INSERT OR IGNORE INTO keywords VALUES (?,?)", (keyword.lower(), keyword))
        row = db.execute("SELECT spelling FROM keywords WHERE folded = ?", (keyword.lower(),)).fetchone()
        spellings.add(row[0])
    return " ".join(sorted(spellings))


def store_flags(
    db: sqlite3.Connection,
    mailbox_id: int,
    uids: Sequence[int],
    change: FlagChange,
    flags: int,
    keywords: Sequence[str],
    unchanged_since: int | None,
) -> tuple[bool, FlagsStored]:
    """STORE: whether anything changed, and the answer. A message already as wished keeps its MODSEQ."""
    require_mailbox(db, mailbox_id)
    named = set(spell_keywords(db, keywords).split())
    rows = db.execute(
        f"SELECT {MESSAGE_COLUMNS} FROM messages WHERE mailbox_id = ? AND {WANTED} ORDER BY uid",
        (mailbox_id, json.dumps(list(uids))),
    ).fetchall()
    answer: list[Message] = []
    updates: list[tuple[int, int, str, int, int]] = []
    refused: list[int] = []
    tally = Tally()
    modseq = 0
    for row in rows:
        message = Message._make(row)
        if unchanged_since is not None and message.modseq > unchanged_since:
            refused.append(message.uid)
            continue
        new_flags, new_keywords = change_flags(change, message, flags, named)
        if (new_flags, new_keywords) != (message.flags, message.keywords):
            modseq = modseq or take_modseq(db)
            updates.append((modseq, new_flags, new_keywords, mailbox_id, message.uid))
            tally.count(message.flags, 0, -1)
            tally.count(new_flags, 0)
            message = message._replace(modseq=modseq, flags=new_flags, keywords=new_keywords)
        answer.append(message)
    if updates:
        db.executemany(
            "UPDATE messages SET modseq = ?, flags = ?, keywords = ? WHERE mailbox_id = ? AND uid = ?",
            updates,
        )
        add_tally(db, mailbox_id, modseq, tally)
    return bool(updates), FlagsStored(answer, refused)


def change_flags(change: FlagChange, message: Message, flags: int, keywords: set[str]) -> tuple[int, str]:
    """The flags and keywords a message has after the change."""
    if change is FlagChange.REPLACE:
        return flags, " ".join(sorted(keywords))
    if change is FlagChange.ADD:
        new = set(message.keywords.split()) | keywords if keywords else None
        return message.flags | flags, message.keywords if new is None else " ".join(sorted(new))
    left = set(message.keywords.split()) - keywords if keywords else None
    return message.flags & ~flags, message.keywords if left is None else " ".join(sorted(left))
