"""House-keeping, in the queue's process: letters past their retention, files that nobody refers to any more.

How long a letter has been in Junk or Trash is not its date: a letter of last year that is deleted today stays
for the whole retention. UIDs are given out in ascending order, so a note of each mailbox's UIDNEXT, taken
once a day, says it for all of them: what is below the note of thirty days ago has been there for thirty days.
Notes stand in one file beside the store; when it is lost, letters stay longer, never shorter.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from mailserver_py.mailstore.values import StoreError

from .context import DaemonContext

DAY_S = 86_400

HOUSEKEEPING_S = 3_600
"""Between rounds; the first comes after FIRST_S, so that a start under load is not slowed down."""

FIRST_S = 60

NOTES_FILE = "retention.json"

Notes = dict[str, list[tuple[int, int]]]
"""By `account/mailbox id/UIDVALIDITY`: (day, UIDNEXT on it), oldest first."""


async def keep_house(context: DaemonContext, state: Path, release: Callable[[], Awaitable[int]]) -> None:
    """For ever. `release` is the engine's: removes files that nobody refers to, and says how many."""
    await asyncio.sleep(FIRST_S)
    path = state / NOTES_FILE
    while True:
        try:
            notes = await asyncio.to_thread(read_notes, path)
            removed_count = await remove_expired(context, notes)
            await asyncio.to_thread(write_notes, path, notes)
            released_count = await release()
        except (StoreError, OSError) as error:
            context.log.event("maintenance.failed", error=str(error))
        else:
            if removed_count or released_count:
                context.log.event("maintenance.done", letters=removed_count, files=released_count)
        await asyncio.sleep(HOUSEKEEPING_S)


async def remove_expired(context: DaemonContext, notes: Notes) -> int:
    """Takes today's notes, and removes what is past its time; how many letters went. Changes `notes`."""
    today = context.clock.now_s() // DAY_S
    retention = context.settings.retention
    days = {"\\Junk": retention.junk // DAY_S, "\\Trash": retention.trash // DAY_S}
    removed_count = 0
    seen: set[str] = set()
    for name, settings in context.settings.accounts.items():
        account = await context.store.account(name, settings.quota_bytes)
        for mailbox in await account.list_mailboxes():
            kept_days = days.get(mailbox.special_use)
            if kept_days is None:
                continue
            key = f"{name}/{mailbox.mailbox_id}/{mailbox.uid_validity}"
            seen.add(key)
            below = note(notes.setdefault(key, []), today, mailbox.uid_next, kept_days)
            if below <= 1 or not mailbox.message_count:
                continue
            uids = [
                message.uid for message in await account.messages(mailbox.mailbox_id) if message.uid < below
            ]
            if uids:
                removed_count += len(await account.remove(mailbox.mailbox_id, uids))
    for gone in set(notes) - seen:
        del notes[gone]
    return removed_count


def note(days: list[tuple[int, int]], today: int, uid_next: int, kept_days: int) -> int:
    """Adds today's note, forgets those no longer needed, and gives the UID below which letters are past their
    time.

    A clock that jumps ahead removes nothing at once: the note of a day is taken on that day. One set back
    keeps letters longer.
    """
    if not days or days[-1][0] < today:
        days.append((today, uid_next))
    while len(days) > 1 and days[1][0] <= today - kept_days:
        days.pop(0)
    day, below = days[0]
    return below if day <= today - kept_days else 0


def read_notes(path: Path) -> Notes:
    """The notes; none when there is no file, or none that can be read."""
    try:
        value = json.loads(path.read_bytes())
        return {str(key): [(int(day), int(uid)) for day, uid in days] for key, days in value.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def write_notes(path: Path, notes: Notes) -> None:
    """Whole or not at all."""
    new = path.with_suffix(".new")
    with new.open("w", encoding="utf-8") as file:
        json.dump(notes, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
