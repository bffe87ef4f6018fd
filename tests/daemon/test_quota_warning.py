"""Warnings of a full account, on a real store."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mailserver_py.daemon.account_rules import derive_rules
from mailserver_py.daemon.quota_warning import level_of, used_percent, warn_owners
from mailserver_py.mailstore.values import NewMessage, Usage
from mailserver_py.spec.settings import AccountSettings

from .smtp_world import ALICE, World, running, settings

QUOTA_BYTES = 100_000


async def fill(world: World, size_bytes: int) -> None:
    staging = world.store.stage()
    await staging.write(b"x" * size_bytes)
    account = await world.store.account(ALICE)
    await account.append("Archive", [NewMessage(await staging.finish(), 1)])


async def empty(world: World) -> None:
    account = await world.store.account(ALICE)
    box = await account.mailbox("Archive")
    await account.remove(box.mailbox_id, range(1, box.uid_next))


def test_the_owner_is_told_once_for_each_crossing(tmp_path: Path) -> None:
    async def case() -> None:
        async with running(tmp_path, accounts={ALICE: AccountSettings(quota_bytes=QUOTA_BYTES)}) as world:
            world.store.rules = derive_rules(world.context.settings)
            told = []
            # 50 % → 81 % → 83 % → 96 % → (with the letters themselves) nothing → and up again
            for action in (50_000, 31_000, 1_000, 13_000, 0, "empty", 82_000):
                if action == "empty":
                    await empty(world)
                elif action:
                    await fill(world, int(action))
                told.append(await warn_owners(world.context))
            assert told == [0, 1, 0, 1, 0, 0, 1]
            letters = await world.letters(ALICE)
            assert len(letters) == 3
            assert all(b"Auto-Submitted: auto-generated\r\n" in letter for letter in letters)
            assert all(b"From: Mail system <postmaster@lab.test>\r\n" in letter for letter in letters)
            assert [b"last warning" in letter for letter in letters] == [False, True, False]
            events = [line for line in world.lines if line["event"] == "quota.warned"]
            assert [event["account"] for event in events] == [ALICE] * 3

    asyncio.run(case())


@pytest.mark.parametrize(
    ("usage", "percent", "level"),
    [
        (Usage(79, 0, 100), 79, 0),
        (Usage(80, 0, 100), 80, 80),
        (Usage(949, 0, 1000), 94, 80),
        (Usage(95, 0, 100), 95, 95),
        (Usage(0, 96, 0, 1, 100), 96, 95),
        (Usage(0, 0, 100, 9, 0, 10), 90, 80),
        (Usage(10**12, 10**9, 0), 0, 0),
    ],
)
def test_the_nearest_limit_counts(usage: Usage, percent: int, level: int) -> None:
    assert (used_percent(usage), level_of(percent)) == (percent, level)


def test_a_spec_without_the_account_leaves_its_rules() -> None:
    rules = derive_rules(settings(accounts={ALICE: AccountSettings(quota_bytes=1000, hold=True)}))
    assert rules("nobody@lab.test") is None
    found = rules(ALICE)
    assert found is not None
    assert (found.grace_bytes, found.kept_for_s, found.is_held) == (100, 14 * 86_400, True)


def test_verifications_own_letters_are_not_kept() -> None:
    rules = derive_rules(settings(verification_account=ALICE))(ALICE)
    assert rules is not None
    assert rules.kept_for_s == 0
