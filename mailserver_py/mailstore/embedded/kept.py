"""What can be taken back, inside a transaction of one account's database: expunged messages, listed and restored."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

from ..keeping import Expunged, Restored, Standing
from ..values import INBOX, NoSuchMailbox
from .account_changes import ADD_MESSAGE, DELETED, Tally, add_tally, mailbox_id_of, require_room, take_modseq
from .account_reads import usage
from .removals import take_kept

CHOSEN = "kept_id IN (SELECT value FROM json_each(?))"


def list_expunged(db: sqlite3.Connection) -> list[Expunged]:
    """Everything that can be taken back, oldest first. A mailbox that still exists is called by its present name."""
    rows = db.execute(
        "SELECT k.kept_id, coalesce(b.name, k.mailbox), k.uid, k.flags, k.keywords, k.size_bytes, k.received_at_s,"
        " k.expunged_at_s, k.sha256, coalesce(d.subject, '') FROM kept AS k"
        " LEFT JOIN mailboxes AS b USING (mailbox_id) LEFT JOIN digests AS d USING (letter_id) ORDER BY k.kept_id"
    )
    return list(map(Expunged._make, rows.fetchall()))


def expunged_letters(db: sqlite3.Connection, kept_ids: Sequence[int]) -> list[tuple[int, str, int]]:
    """Rows of (id, hash, size)."""
    return db.execute(
        f"SELECT kept_id, sha256, size_bytes FROM kept WHERE {CHOSEN} ORDER BY kept_id",
        (json.dumps(list(kept_ids)),),
    ).fetchall()


def take_back(
    db: sqlite3.Connection, kept_ids: Sequence[int], target: str, now_s: int
) -> tuple[set[int], list[Restored]]:
    """Makes kept messages messages again, in `target` or where they lay (else INBOX); the mailboxes changed, and what
    came back. They keep flags and dates, but not DELETED: the next EXPUNGE would take them again. Raises NoSuchMailbox,
    OverQuota."""
    rows = db.execute(
        "SELECT coalesce(b.mailbox_id, -1), k.kept_id, k.flags, k.keywords, k.size_bytes, k.received_at_s, k.sha256,"
        " k.letter_id, k.mailbox FROM kept AS k LEFT JOIN mailboxes AS b USING (mailbox_id)"
        f" WHERE {CHOSEN} ORDER BY 1, k.mailbox, k.kept_id",
        (json.dumps(list(kept_ids)),),
    ).fetchall()
    require_room(db, sum(row[4] for row in rows), len(rows))
    goal_id = mailbox_id_of(db, target) if target else 0
    restored: list[Restored] = []
    changed: set[int] = set()
    for (mailbox_id, name), group in groupby(rows, itemgetter(0, 8)):
        to_id = goal_id or (mailbox_id if mailbox_id > 0 else namesake_or_inbox(db, name))
        changed.add(to_id)
        restored += add_back(db, to_id, list(group), now_s)
    take_kept(db, [row[1] for row in rows])
    return changed, restored


def namesake_or_inbox(db: sqlite3.Connection, name: str) -> int:
    """The mailbox that has a deleted one's name now, or INBOX."""
    try:
        return mailbox_id_of(db, name)
    except NoSuchMailbox:
        return mailbox_id_of(db, INBOX)


def add_back(
    db: sqlite3.Connection, mailbox_id: int, rows: Sequence[tuple[int, ...]], now_s: int
) -> list[Restored]:
    """Puts rows of `take_back` at the end of one mailbox. Their letters' counts stay: what was kept counted too."""
    name, uid_next = db.execute(
        "SELECT name, uid_next FROM mailboxes WHERE mailbox_id = ?", (mailbox_id,)
    ).fetchone()
    modseq = take_modseq(db)
    tally = Tally()
    messages = []
    for uid, row in enumerate(rows, uid_next):
        _, _, old_flags, keywords, size_bytes, received_at_s, sha256, letter_id, _ = row
        flags = old_flags & ~DELETED
        tally.count(flags, size_bytes)
        messages.append(
            (mailbox_id, uid, modseq, flags, keywords, size_bytes, received_at_s, sha256, letter_id, now_s)
        )
    db.executemany(ADD_MESSAGE, messages)
    add_tally(db, mailbox_id, modseq, tally, len(rows))
    return [Restored(row[1], name, uid) for uid, row in enumerate(rows, uid_next)]


def standing(db: sqlite3.Connection) -> Standing:
    """How the account stands against its rules."""
    kept_count, kept_bytes, kept_for_s, is_held, warned_percent = db.execute(
        "SELECT kept_count, kept_bytes, kept_for_s, is_held, warned_percent FROM account"
    ).fetchone()
    return Standing(usage(db), kept_count, kept_bytes, kept_for_s, bool(is_held), warned_percent)


def mark_warned(db: sqlite3.Connection, old_percent: int, new_percent: int) -> bool:
    """Notes of which share the owner was told; False when another process was first."""
    return bool(
        db.execute(
            "UPDATE account SET warned_percent = ? WHERE warned_percent = ?", (new_percent, old_percent)
        ).rowcount
    )
