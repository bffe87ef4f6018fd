"""What takes messages elsewhere, inside a transaction of one account's database: copy, move, replace."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from operator import itemgetter

from ..values import Appended, MessageGone
from .account_changes import (
    ADD_MESSAGE,
    WANTED,
    Incoming,
    Tally,
    add_messages,
    add_tally,
    mailbox_id_of,
    require_mailbox,
    require_room,
    take_modseq,
)
from .removals import keep_or_let_go, remove_rows


def transfer(
    db: sqlite3.Connection,
    mailbox_id: int,
    uids: Sequence[int],
    target: str,
    now_s: int,
    *,
    moving: bool,
    whole: bool,
) -> tuple[int, Appended]:
    """COPY and MOVE: the target's id and the answer. Raises NoSuchMailbox, when copying OverQuota, and MessageGone
    where the `whole` is wanted and something is missing."""
    require_mailbox(db, mailbox_id)
    target_id = mailbox_id_of(db, target)
    rows = db.execute(
        "SELECT uid, flags, size_bytes, letter_id, keywords, received_at_s, sha256 FROM messages"
        f" WHERE mailbox_id = ? AND {WANTED} ORDER BY uid",
        (mailbox_id, json.dumps(list(uids))),
    ).fetchall()
    if whole and len(rows) < len(set(uids)):
        raise MessageGone(f"{len(set(uids)) - len(rows)} of {len(uids)} messages are gone")
    return target_id, transfer_rows(db, mailbox_id, target_id, rows, now_s, moving=moving)


def transfer_rows(
    db: sqlite3.Connection,
    mailbox_id: int,
    target_id: int,
    rows: Sequence[tuple[int, ...]],
    now_s: int,
    *,
    moving: bool,
) -> Appended:
    """Puts rows of (uid, flags, size, letter, keywords, date, hash) into the target; takes them away when moving."""
    uid_validity, uid_next = db.execute(
        "SELECT uid_validity, uid_next FROM mailboxes WHERE mailbox_id = ?", (target_id,)
    ).fetchone()
    if not rows:
        return Appended(uid_validity, [], [])
    tally = Tally()
    for row in rows:
        tally.count(row[1], row[2])
    if not moving:
        require_room(db, tally.size_bytes, len(rows))
    modseq = take_modseq(db)
    db.executemany(
        ADD_MESSAGE,
        [
            (target_id, uid, modseq, flags, keywords, size_bytes, received_at_s, sha256, letter_id, now_s)
            for uid, (_, flags, size_bytes, letter_id, keywords, received_at_s, sha256) in enumerate(
                rows, uid_next
            )
        ],
    )
    add_tally(db, target_id, modseq, tally, len(rows))
    if moving:
        remove_rows(db, mailbox_id, modseq, [(row[0], row[1], row[2], row[3]) for row in rows])
    else:
        db.executemany(
            "UPDATE letters SET message_count = message_count + 1 WHERE letter_id = ?",
            [(row[3],) for row in rows],
        )
    uids = list(range(uid_next, uid_next + len(rows)))
    return Appended(uid_validity, uids, list(map(itemgetter(0), rows)))


def replace(
    db: sqlite3.Connection, mailbox_id: int, uid: int, target: str, letter: Incoming, now_s: int
) -> tuple[int, Appended, list[str]]:
    """REPLACE (RFC 8508): the target's id, the answer, and the files no longer referred to. Only the difference counts
    against the quota. Raises NoSuchMailbox, MessageGone, OverQuota."""
    require_mailbox(db, mailbox_id)
    target_id = mailbox_id_of(db, target)
    row = db.execute(
        "SELECT uid, flags, size_bytes, letter_id FROM messages WHERE mailbox_id = ? AND uid = ?",
        (mailbox_id, uid),
    ).fetchone()
    if row is None:
        raise MessageGone(f"message {uid} is gone")
    require_room(db, letter.size_bytes - row[2], 0)
    appended = add_messages(db, target_id, [letter])
    hashes = keep_or_let_go(db, mailbox_id, [row], now_s)
    remove_rows(db, mailbox_id, take_modseq(db), [row])
    return target_id, Appended(appended.uid_validity, appended.uids, [uid]), hashes
