"""Retention by notes of UIDNEXT, on a real store."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mailserver_py.daemon.account_rules import derive_rules
from mailserver_py.daemon.context import FrozenClock
from mailserver_py.daemon.maintenance import (
    DAY_S,
    Notes,
    forget_expunged,
    inspect_share,
    note,
    read_notes,
    remove_expired,
    write_notes,
)
from mailserver_py.mailstore.values import NewMessage

from .smtp_world import ALICE, BOB, World, running


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


def test_thousands_go_in_small_commits_and_one_broken_account_does_not_keep_the_others(
    tmp_path: Path,
) -> None:
    async def case() -> None:
        async with running(tmp_path) as world:
            clock = world.context.clock
            assert isinstance(clock, FrozenClock)
            await put(world, "Trash", 1)
            staging = world.store.stage()
            await staging.write(b"many")
            staged = await staging.finish()
            await (await world.store.account(BOB)).append("Trash", [NewMessage(staged, 1)] * 2500)
            notes: Notes = {}
            await remove_expired(world.context, notes)
            clock.at_s += 31 * DAY_S
            broken = world.store.shelf.path(ALICE)
            world.store.shelf.drop(ALICE)
            broken.write_bytes(b"no database")
            assert await remove_expired(world.context, notes) == 2500
            assert [line["account"] for line in world.lines if line["event"] == "maintenance.failed"] == [
                ALICE
            ]
            assert any(key.startswith(f"{ALICE}/") for key in notes)

    asyncio.run(case())


def test_the_store_is_looked_at_once_a_night_and_the_line_says_what_was_found(tmp_path: Path) -> None:
    async def case() -> None:
        async with running(tmp_path) as world:
            clock = world.context.clock
            assert isinstance(clock, FrozenClock)
            await put(world, "INBOX", 1)
            letter = next(path for path in (world.store.root / "blobs").rglob("*") if path.is_file())
            letter.write_bytes(b"damaged")
            path = tmp_path / "inspection.json"
            looks = []
            for hour in range(0, 4 * 24):
                if await inspect_share(world.context, path):
                    looks.append(hour // 24)
                clock.at_s += 3600
            assert len(looks) in (4, 5)  # one at once, then one each night
            assert len(set(looks[1:])) == len(looks) - 1
            lines = [line for line in world.lines if line["event"] == "maintenance.inspected"]
            assert sum(int(str(line["damaged"])) for line in lines[:4]) == 1
            assert [line["is_round_complete"] for line in lines[:4]] == [False, False, False, True]

    asyncio.run(case())


def test_what_was_expunged_goes_for_good_after_its_time(tmp_path: Path) -> None:
    async def case() -> None:
        async with running(tmp_path) as world:
            world.store.rules = derive_rules(world.context.settings)
            clock = world.context.clock
            assert isinstance(clock, FrozenClock)
            world.store.clock = clock.now_s
            await put(world, "INBOX", 1)
            account = await world.store.account(ALICE)
            await account.remove((await account.mailbox("INBOX")).mailbox_id, [1])
            clock.at_s += 14 * DAY_S - 1
            assert await forget_expunged(world.context) == 0
            clock.at_s += 1
            assert await forget_expunged(world.context) == 1

    asyncio.run(case())
