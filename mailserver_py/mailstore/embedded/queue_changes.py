"""What the queue's methods do inside a transaction of the site's database. No thread, no file, no clock of its own."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from ..values import NewLetter, Outcome, QueuedLetter, QueuedRecipient, RecipientState

LETTER_COLUMNS = (
    "letter_id, trace_id, reverse_path, sha256, size_bytes, received_at_s, account, smtputf8, eight_bit"
)
RECIPIENT_COLUMNS = (
    "recipient_id, forward_path, account, mailbox, original, state,"
    " attempt_count, next_attempt_at_s, last_reply"
)
ADD_LETTER = f"INSERT INTO letters ({LETTER_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?)"
ADD_RECIPIENT = (
    "INSERT INTO recipients (recipient_id, letter_id, forward_path, account, mailbox, original, state, attempt_count,"
    " next_attempt_at_s, last_reply, lease_owner, due_at_s) VALUES (?,?,?,?,?,?,'waiting',0,?,'',?,?)"
)
WAITING = RecipientState.WAITING

SECOND_SHIFT = 20
"""Recipients are numbered from the clock's seconds, a million for each: a site's database that was restored from a
backup then never gives out a number again that an account knows as delivered."""


def take_numbers(site: sqlite3.Connection, name: str, count: int, at_least: int = 0) -> int:
    """The first of `count` numbers that nobody had before, not below `at_least`."""
    (last,) = site.execute(
        "UPDATE counters SET value = max(value + 1, ?) + ? WHERE name = ? RETURNING value",
        (at_least, count - 1, name),
    ).fetchone()
    return int(last) - count + 1


def take_uid_validities(site: sqlite3.Connection, now_s: int, count: int) -> int:
    """The first of `count` UIDVALIDITY values: the clock's seconds, or the next one never given out when the clock
    stands still or went back (RFC 9051 §2.3.1.1 wants greater ones for a name that comes back)."""
    return take_numbers(site, "uid_validity", count, now_s)


def add_letter(
    site: sqlite3.Connection, letter: NewLetter, owner: str, lease_s: int, now_s: int
) -> QueuedLetter:
    """Puts a letter into the queue. The lease covers the local recipients: the owner is about to deliver those."""
    letter_id = take_numbers(site, "letter_id", 1)
    at_s = letter.received_at_s
    first_id = take_numbers(site, "recipient_id", len(letter.recipients), now_s << SECOND_SHIFT)
    site.execute(
        ADD_LETTER,
        (
            letter_id,
            letter.trace_id,
            letter.reverse_path,
            letter.staged.sha256,
            letter.staged.size_bytes,
            at_s,
            letter.account,
            letter.smtputf8,
            letter.eight_bit,
        ),
    )
    rows = []
    queued = []
    for recipient_id, new in enumerate(letter.recipients, first_id):
        leased = bool(owner and new.account)
        rows.append(
            (
                recipient_id,
                letter_id,
                new.forward_path,
                new.account,
                new.mailbox,
                new.original,
                at_s,
                owner if leased else "",
                at_s + lease_s if leased else at_s,
            )
        )
        queued.append(
            QueuedRecipient(
                recipient_id, new.forward_path, new.account, new.mailbox, new.original, WAITING, 0, at_s, ""
            )
        )
    site.executemany(ADD_RECIPIENT, rows)
    return QueuedLetter(
        letter_id,
        letter.trace_id,
        letter.reverse_path,
        letter.staged.sha256,
        letter.staged.size_bytes,
        at_s,
        letter.account,
        letter.smtputf8,
        letter.eight_bit,
        tuple(queued),
    )


def lease_letters(
    site: sqlite3.Connection, owner: str, now_s: int, lease_s: int, limit_count: int
) -> list[QueuedLetter]:
    """Hands the letters that are due, with their due recipients, to `owner`."""
    due = site.execute(
        "SELECT DISTINCT letter_id FROM recipients WHERE state = 'waiting' AND due_at_s <= ?"
        " ORDER BY due_at_s, letter_id LIMIT ?",
        (now_s, limit_count),
    )
    letter_ids = [letter_id for (letter_id,) in due]
    letters = read_letters(site, letter_ids, now_s)
    site.executemany(
        "UPDATE recipients SET lease_owner = ?, due_at_s = ? WHERE recipient_id = ?",
        [(owner, now_s + lease_s, r.recipient_id) for letter in letters for r in letter.recipients],
    )
    return letters


def read_letters(
    site: sqlite3.Connection, letter_ids: Sequence[int], due_before_s: int | None = None
) -> list[QueuedLetter]:
    """Letters in the order of their ids, with all recipients, or with those that are waiting and due."""
    wanted = json.dumps(list(letter_ids))
    condition = "" if due_before_s is None else f"AND state = 'waiting' AND due_at_s <= {int(due_before_s)}"
    rows = site.execute(
        f"SELECT letter_id, {RECIPIENT_COLUMNS} FROM recipients"
        f" WHERE letter_id IN (SELECT value FROM json_each(?)) {condition} ORDER BY letter_id, recipient_id",
        (wanted,),
    )
    recipients = {
        letter_id: tuple(make_recipient(row[1:]) for row in group)
        for letter_id, group in groupby(rows.fetchall(), itemgetter(0))
    }
    letters = site.execute(
        f"SELECT {LETTER_COLUMNS} FROM letters WHERE letter_id IN (SELECT value FROM json_each(?))"
        " ORDER BY letter_id",
        (wanted,),
    )
    return [make_letter(row, recipients.get(row[0], ())) for row in letters.fetchall()]


def make_letter(row: Sequence[Any], recipients: Sequence[QueuedRecipient]) -> QueuedLetter:
    """A row of LETTER_COLUMNS as a value."""
    values = [*row[:7], bool(row[7]), bool(row[8]), recipients]
    return QueuedLetter(*values)


def make_recipient(row: Sequence[Any]) -> QueuedRecipient:
    """A row of RECIPIENT_COLUMNS as a value."""
    values = list(row)
    values[5] = RecipientState(values[5])
    return QueuedRecipient(*values)


def renew_leases(
    site: sqlite3.Connection,
    owner: str,
    now_s: int,
    lease_s: int,
    recipient_ids: Sequence[int] | None = None,
) -> None:
    """Moves the end of the owner's leases; those that ended and were taken by another are no longer its own."""
    wanted = "" if recipient_ids is None else "AND recipient_id IN (SELECT value FROM json_each(?))"
    some = () if recipient_ids is None else (json.dumps(list(recipient_ids)),)
    site.execute(
        "UPDATE recipients SET due_at_s = ? WHERE lease_owner = ? AND lease_owner <> '' AND state = 'waiting'"
        f" {wanted}",
        (now_s + lease_s, owner, *some),
    )


def list_owners(site: sqlite3.Connection) -> list[str]:
    """Who holds leases."""
    rows = site.execute(
        "SELECT DISTINCT lease_owner FROM recipients WHERE lease_owner <> '' AND state = 'waiting'"
    )
    return [owner for (owner,) in rows]


def release_owners(site: sqlite3.Connection, gone: Sequence[str]) -> int:
    """Ends the leases of owners; how many recipients were let go."""
    return site.execute(
        "UPDATE recipients SET lease_owner = '', due_at_s = next_attempt_at_s WHERE state = 'waiting'"
        " AND lease_owner <> '' AND lease_owner IN (SELECT value FROM json_each(?))",
        (json.dumps(list(gone)),),
    ).rowcount


def settle_owned(site: sqlite3.Connection, owner: str, letter_id: int, outcomes: Sequence[Outcome]) -> bool:
    """Writes outcomes if every one of their recipients is still waiting and leased to the owner."""
    wanted = json.dumps([outcome.recipient_id for outcome in outcomes])
    (held_count,) = site.execute(
        "SELECT count(*) FROM recipients WHERE recipient_id IN (SELECT value FROM json_each(?))"
        " AND letter_id = ? AND lease_owner = ? AND state = 'waiting'",
        (wanted, letter_id, owner),
    ).fetchone()
    if held_count != len(outcomes):
        return False
    settle(site, letter_id, outcomes)
    return True


def settle(site: sqlite3.Connection, letter_id: int, outcomes: Iterable[Outcome]) -> None:
    """Writes outcomes and ends the leases; drops the letter when nothing of it is waiting."""
    site.executemany(
        "UPDATE recipients SET state = ?, last_reply = ?, next_attempt_at_s = ?, due_at_s = ?,"
        " attempt_count = attempt_count + 1, lease_owner = '' WHERE recipient_id = ? AND state = 'waiting'",
        [
            (o.state.value, o.reply, o.next_attempt_at_s, o.next_attempt_at_s, o.recipient_id)
            for o in outcomes
        ],
    )
    drop_if_done(site, letter_id)


def drop_if_done(site: sqlite3.Connection, letter_id: int) -> None:
    """Takes a letter with nothing waiting out of the queue. An account that holds it will release its file."""
    rows = site.execute("SELECT state, account FROM recipients WHERE letter_id = ?", (letter_id,)).fetchall()
    if any(state == "waiting" for state, _ in rows):
        return
    if not any(state == "delivered" and account for state, account in rows):
        site.execute(
            "INSERT INTO released (sha256) SELECT sha256 FROM letters WHERE letter_id = ?", (letter_id,)
        )
    site.execute("DELETE FROM recipients WHERE letter_id = ?", (letter_id,))
    site.execute("DELETE FROM letters WHERE letter_id = ?", (letter_id,))


def settled_below(site: sqlite3.Connection) -> int:
    """Every recipient with a lower id has left the queue: nobody will repeat its delivery."""
    (first,) = site.execute("SELECT min(recipient_id) FROM recipients").fetchone()
    if first is not None:
        return int(first)
    (last,) = site.execute("SELECT value FROM counters WHERE name = 'recipient_id'").fetchone()
    return int(last) + 1


def next_due_at_s(site: sqlite3.Connection) -> int | None:
    """When something is due next."""
    (due_at_s,) = site.execute("SELECT min(due_at_s) FROM recipients WHERE state = 'waiting'").fetchone()
    return None if due_at_s is None else int(due_at_s)


def release(site: sqlite3.Connection, hashes: Iterable[str]) -> None:
    """Notes files that an account no longer refers to."""
    site.executemany("INSERT INTO released (sha256) VALUES (?)", [(sha256,) for sha256 in hashes])
