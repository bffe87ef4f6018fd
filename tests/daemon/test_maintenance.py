"""Retention by notes of UIDNEXT, on a real store."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mailserver_py.daemon.context import FrozenClock
from mailserver_py.daemon.maintenance import (
    DAY_S,
    Notes,
    note,
    read_notes,
    remove_expired,
    write_notes,
)
from mailserver_py.mailstore.values import NewMessage

from .smtp_world import ALICE, World, running


async def put(world: World, mailbox: str, received_at_s: int) -> None:
    staging = world.store.stage()
    await staging.write(b"Subject: x\r\n\r\n%d\r\n" % received_at_s)
    account = await world.store.account(ALICE)
    await account.append(mailbox, [NewMessage(await staging.finish(), received_at_s)])


def test_what_lay_there_for_the_retention_goes_and_nothing_else(tmp_path: Path) -> None:
    async def case() -> None:
        async with running(tmp_path) as world:
            clock = world.context.clock
            assert isinstance(clock, FrozenClock)
            notes: Notes = {}
            removed: list[int] = []
            for day in range(64):
                if day in (0, 10, 31):
                    # Of last year by its date: that is no reason to remove it.
                    await put(world, "Trash", clock.now_s() - 300 * DAY_S)
                    await put(world, "INBOX", clock.now_s() - 300 * DAY_S)
                if await remove_expired(world.context, notes):
                    removed.append(day)
                clock.at_s += DAY_S
            # Noted on the day it came at the earliest, so it stays 30 whole days.
            assert removed == [30, 40, 61]
            account = await world.store.account(ALICE)
            counts = {mailbox.name: mailbox.message_count for mailbox in await account.list_mailboxes()}
            assert (counts["Trash"], counts["INBOX"]) == (0, 3)

    asyncio.run(case())


@pytest.mark.parametrize("jump_days", [-400, 400], ids=["back", "ahead"])
def test_a_clock_that_jumps_removes_nothing_new(tmp_path: Path, jump_days: int) -> None:
    async def case() -> None:
        async with running(tmp_path) as world:
            clock = world.context.clock
            assert isinstance(clock, FrozenClock)
            notes: Notes = {}
            await remove_expired(world.context, notes)
            await put(world, "Trash", clock.now_s())
            clock.at_s += jump_days * DAY_S
            assert await remove_expired(world.context, notes) == 0

    asyncio.run(case())


def test_notes_stay_few() -> None:
    days: list[tuple[int, int]] = []
    for today in range(1000):
        note(days, today, today, 30)
    assert len(days) == 31


def test_lost_notes_only_keep_letters_longer(tmp_path: Path) -> None:
    path = tmp_path / "notes.json"
    assert read_notes(path) == {}
    write_notes(path, {"a/1/2": [(3, 4)]})
    assert read_notes(path) == {"a/1/2": [(3, 4)]}
    path.write_text("[broken")
    assert read_notes(path) == {}
