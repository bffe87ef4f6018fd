"""House-keeping, in the queue's process: letters past their retention, expunged mail past its time, files that nobody
refers to, full accounts, and each night a look at a share of the store. Everything in small commits; one line each.

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

from mailserver_py.mailstore.port import Account
from mailserver_py.mailstore.values import StoreError

from .context import DaemonContext
from .quota_warning import warn_owners

DAY_S = 86_400

HOUSEKEEPING_S = 3_600
"""Between rounds; the first comes after FIRST_S, so that a start under load is not slowed down."""

FIRST_S = 60

WARNINGS_S = 300
"""Between looks at how full the accounts are."""

NOTES_FILE = "retention.json"

INSPECTION_FILE = "inspection.json"

QUIET_HOURS = range(2, 5)
"""Of the host's own time: the hours when people sleep and most backups have not begun."""

INSPECTION_LATEST_S = 30 * 3_600
"""A machine that is off at night inspects in the day, once it is so long ago."""

INSPECTION_LIMIT_BYTES = 1 << 30
"""Read and hashed in one look: some seconds of a disk."""

DAMAGED_SHOWN_COUNT = 5
"""Named in the log's line; `mailserver store check` names all."""

REMOVED_LIMIT_COUNT = 1_000
"""Removed in one commit: some milliseconds."""

Notes = dict[str, list[tuple[int, int]]]
"""By `account/mailbox id/UIDVALIDITY`: (day, UIDNEXT on it), oldest first."""


async def keep_house(context: DaemonContext, state: Path, release: Callable[[], Awaitable[int]]) -> None:
    """For ever. `release` is the engine's: removes files that nobody refers to, and says how many."""
    await asyncio.sleep(FIRST_S)
    path, inspection = state / NOTES_FILE, state / INSPECTION_FILE
    round_at_s = 0.0
    loop = asyncio.get_running_loop()
    while True:
        await warn_owners(context)
        if loop.time() >= round_at_s:
            round_at_s = loop.time() + HOUSEKEEPING_S
            await tidy(context, path, release)
            await inspect_share(context, inspection)
        await asyncio.sleep(WARNINGS_S)


async def tidy(context: DaemonContext, path: Path, release: Callable[[], Awaitable[int]]) -> None:
    """One round: what is past its retention goes, and then the files of nobody. One line in the log."""
    started_s = asyncio.get_running_loop().time()
    try:
        notes = await asyncio.to_thread(read_notes, path)
        removed_count = await remove_expired(context, notes)
        await asyncio.to_thread(write_notes, path, notes)
        forgotten_count = await forget_expunged(context)
        released_count = await release()
    except (StoreError, OSError) as error:
        context.log.event("maintenance.failed", error=str(error))
        return
    if removed_count or forgotten_count or released_count:
        context.log.event(
            "maintenance.done",
            letters=removed_count,
            forgotten=forgotten_count,
            files=released_count,
            took_s=round(asyncio.get_running_loop().time() - started_s, 1),
        )


async def inspect_share(context: DaemonContext, path: Path) -> bool:
    """Once a night, or when a day was missed: a share of the store is read and hashed, old files of nobody go, logs are
    carried over. One line in the log. Whether it was time."""
    now_s = context.clock.now_s()
    last_s, start = await asyncio.to_thread(read_inspection, path)
    hour = context.clock.now().astimezone().hour
    waited_s = now_s - last_s
    if not (hour in QUIET_HOURS and waited_s >= DAY_S // 2) and 0 <= waited_s < INSPECTION_LATEST_S:
        return False
    started_s = asyncio.get_running_loop().time()
    try:
        found = await context.store.inspect(start, INSPECTION_LIMIT_BYTES)
        await asyncio.to_thread(write_whole, path, {"at_s": now_s, "start": found.next_start})
    except (StoreError, OSError) as error:
        context.log.event("maintenance.failed", error=str(error))
        return True
    context.log.event(
        "maintenance.inspected",
        letters=found.file_count,
        size_bytes=found.size_bytes,
        damaged=len(found.damaged),
        first_damaged=list(found.damaged[:DAMAGED_SHOWN_COUNT]) or None,
        orphans=found.orphan_count,
        logs=found.log_count,
        is_round_complete=not found.next_start,
        took_s=round(asyncio.get_running_loop().time() - started_s, 1),
    )
    return True


async def forget_expunged(context: DaemonContext) -> int:
    """Removes for good what was expunged and kept for its time; how many messages went."""
    forgotten_count = 0
    for name, settings in context.settings.accounts.items():
        try:
            await context.store.account(name, settings.quota_bytes)
            forgotten_count += await (await context.store.keeping(name)).forget_expunged()
        except StoreError as error:
            context.log.event("maintenance.failed", account=name, error=str(error))
    return forgotten_count


async def remove_expired(context: DaemonContext, notes: Notes) -> int:
    """Takes today's notes, and removes what is past its time; how many letters went. Changes `notes`."""
    today = context.clock.now_s() // DAY_S
    retention = context.settings.retention
    days = {"\\Junk": retention.junk // DAY_S, "\\Trash": retention.trash // DAY_S}
    removed_count = 0
    seen: set[str] = set()
    for name, settings in context.settings.accounts.items():
        try:
            account = await context.store.account(name, settings.quota_bytes)
            for mailbox in await account.list_mailboxes():
                kept_days = days.get(mailbox.special_use)
                if kept_days is None:
                    continue
                key = f"{name}/{mailbox.mailbox_id}/{mailbox.uid_validity}"
                seen.add(key)
                below = note(notes.setdefault(key, []), today, mailbox.uid_next, kept_days)
                if below > 1 and mailbox.message_count:
                    removed_count += await remove_below(account, mailbox.mailbox_id, below)
        except StoreError as error:  # one broken account must not keep the others' junk
            seen.update(key for key in notes if key.startswith(f"{name}/"))
            context.log.event("maintenance.failed", account=name, error=str(error))
    for gone in set(notes) - seen:
        del notes[gone]
    return removed_count


async def remove_below(account: Account, mailbox_id: int, below: int) -> int:
    """Removes the messages below a UID, some at a time so that no session waits long; how many went."""
    uids = [message.uid for message in await account.messages(mailbox_id) if message.uid < below]
    removed_count = 0
    for first in range(0, len(uids), REMOVED_LIMIT_COUNT):
        removed_count += len(await account.remove(mailbox_id, uids[first : first + REMOVED_LIMIT_COUNT]))
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


def read_inspection(path: Path) -> tuple[int, str]:
    """When the last look at the store was, and where the next one goes on."""
    try:
        value = json.loads(path.read_bytes())
        return int(value["at_s"]), str(value["start"])
    except (OSError, ValueError, TypeError, KeyError):
        return 0, ""


def write_notes(path: Path, notes: Notes) -> None:
    """Whole or not at all."""
    write_whole(path, notes)


def write_whole(path: Path, value: object) -> None:
    """A file of JSON: the old one or the new one, whatever happens. Raises OSError."""
    new = path.with_suffix(".new")
    with new.open("w", encoding="utf-8") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
