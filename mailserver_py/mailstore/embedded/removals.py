"""What takes messages away, inside a transaction of one account's database.

An expunged message is gone for every session at once. Where the account's rules say so, its row goes to `kept` with all
that is needed to take it back, and its letter stays referred to. What is kept takes no more room than the quota, or a
programme that appends and expunges would fill the disk: beyond, the oldest go first, but never under legal hold.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from .account_changes import DELETED, WANTED, Tally, add_tally, require_mailbox, take_modseq

KEEP = (
    "INSERT INTO kept (mailbox_id, mailbox, uid, flags, keywords, size_bytes, received_at_s, sha256, letter_id,"
    " expunged_at_s) SELECT m.mailbox_id, b.name, m.uid, m.flags, m.keywords, m.size_bytes, m.received_at_s, m.sha256,"
    " m.letter_id, ? FROM messages AS m JOIN mailboxes AS b USING (mailbox_id)"
)

FORGOTTEN_LIMIT_COUNT = 1000
"""Kept messages that go in one transaction: some milliseconds, so that no session waits for house-keeping."""


def expunge(
    db: sqlite3.Connection, mailbox_id: int, uids: Sequence[int] | None, now_s: int
) -> tuple[list[int], list[str]]:
    """EXPUNGE and UID EXPUNGE: the UIDs that went, and the files no longer referred to."""
    return remove_where(db, mailbox_id, uids, f"AND flags & {DELETED}", now_s)


def remove(
    db: sqlite3.Connection, mailbox_id: int, uids: Sequence[int], now_s: int
) -> tuple[list[int], list[str]]:
    """Removes messages whatever their flags."""
    return remove_where(db, mailbox_id, uids, "", now_s)


def remove_where(
    db: sqlite3.Connection, mailbox_id: int, uids: Sequence[int] | None, condition: str, now_s: int
) -> tuple[list[int], list[str]]:
    """Removes the messages that fit; the UIDs that went, and the files no longer referred to."""
    require_mailbox(db, mailbox_id)
    wanted, arguments = ("", ()) if uids is None else (f"AND {WANTED}", (json.dumps(list(uids)),))
    rows = db.execute(
        f"SELECT uid, flags, size_bytes, letter_id FROM messages WHERE mailbox_id = ? {wanted} {condition}"
        " ORDER BY uid",
        (mailbox_id, *arguments),
    ).fetchall()
    if not rows:
        return [], []
    modseq = take_modseq(db)
    hashes = keep_or_let_go(db, mailbox_id, rows, now_s)
    remove_rows(db, mailbox_id, modseq, rows)
    return [row[0] for row in rows], hashes


def remove_rows(
    db: sqlite3.Connection, mailbox_id: int, modseq: int, rows: Sequence[tuple[int, int, int, int]]
) -> None:
    """Takes rows of (uid, flags, size, letter) out of a mailbox and notes that they went."""
    tally = Tally()
    for _, flags, size_bytes, _ in rows:
        tally.count(flags, size_bytes, -1)
    keys = [(mailbox_id, row[0]) for row in rows]
    db.executemany("DELETE FROM messages WHERE mailbox_id = ? AND uid = ?", keys)
    db.executemany("INSERT INTO expunged VALUES (?,?,?)", [(mailbox_id, modseq, uid) for _, uid in keys])
    add_tally(db, mailbox_id, modseq, tally)


def let_go(db: sqlite3.Connection, letter_ids: Iterable[int]) -> list[str]:
    """Takes one message from each letter's count; the hashes of letters that nobody in the account has any more."""
    db.executemany(
        "UPDATE letters SET message_count = message_count - 1 WHERE letter_id = ?", ((i,) for i in letter_ids)
    )
    wanted = json.dumps(sorted(set(letter_ids)))
    gone = db.execute(
        "DELETE FROM letters WHERE message_count <= 0 AND letter_id IN (SELECT value FROM json_each(?))"
        " RETURNING letter_id, sha256",
        (wanted,),
    ).fetchall()
    db.executemany("DELETE FROM digests WHERE letter_id = ?", [(letter_id,) for letter_id, _ in gone])
    return [sha256 for _, sha256 in gone]


def keep_or_let_go(
    db: sqlite3.Connection, mailbox_id: int, rows: Sequence[tuple[int, int, int, int]], now_s: int
) -> list[str]:
    """Keeps rows of (uid, flags, size, letter) that are about to leave a mailbox, if the account's rules want it; the
    files no longer referred to."""
    kept_for_s, is_held, quota_bytes = db.execute(
        "SELECT kept_for_s, is_held, quota_bytes FROM account"
    ).fetchone()
    if not kept_for_s and not is_held:
        return let_go(db, [row[3] for row in rows])
    db.execute(
        f"{KEEP} WHERE m.mailbox_id = ? AND m.{WANTED} ORDER BY m.uid",
        (now_s, mailbox_id, json.dumps([row[0] for row in rows])),
    )
    (kept_bytes,) = db.execute(
        "UPDATE account SET kept_count = kept_count + ?, kept_bytes = kept_bytes + ? RETURNING kept_bytes",
        (len(rows), sum(row[2] for row in rows)),
    ).fetchone()
    if is_held or not quota_bytes or kept_bytes <= quota_bytes:
        return []
    surplus = []
    for kept_id, size_bytes in db.execute("SELECT kept_id, size_bytes FROM kept ORDER BY kept_id"):
        if kept_bytes <= quota_bytes:
            break
        surplus.append(kept_id)
        kept_bytes -= size_bytes
    return let_go(db, take_kept(db, surplus))


def forget_old(db: sqlite3.Connection, now_s: int) -> tuple[int, list[str]]:
    """Removes for good what was kept for its time, at most FORGOTTEN_LIMIT_COUNT; how many went, and the files no
    longer referred to."""
    (kept_for_s, is_held) = db.execute("SELECT kept_for_s, is_held FROM account").fetchone()
    if is_held:
        return 0, []
    # In the order of the numbers, not of the dates: one expunged while the clock was ahead must not hold up the rest.
    rows = db.execute(
        "SELECT kept_id FROM kept WHERE expunged_at_s <= ? ORDER BY kept_id LIMIT ?",
        (now_s - kept_for_s, FORGOTTEN_LIMIT_COUNT),
    ).fetchall()
    letter_ids = take_kept(db, [kept_id for (kept_id,) in rows])
    return len(rows), let_go(db, letter_ids)


def take_kept(db: sqlite3.Connection, kept_ids: Sequence[int]) -> list[int]:
    """Takes rows out of `kept`; their letters, whose counts are the caller's to set."""
    rows = db.execute(
        "DELETE FROM kept WHERE kept_id IN (SELECT value FROM json_each(?)) RETURNING letter_id, size_bytes",
        (json.dumps(list(kept_ids)),),
    ).fetchall()
    db.execute(
        "UPDATE account SET kept_count = kept_count - ?, kept_bytes = kept_bytes - ?",
        (len(rows), sum(size_bytes for _, size_bytes in rows)),
    )
    return [letter_id for letter_id, _ in rows]
