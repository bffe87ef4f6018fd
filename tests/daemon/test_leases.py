"""Leases of processes that are gone, on a real store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path

from mailserver_py.daemon.leases import release_dead
from mailserver_py.mailstore.values import NewLetter, NewRecipient

from .smtp_world import ALICE, World, running


async def accept(world: World, owner: str) -> None:
    staging = world.store.stage()
    await staging.write(owner.encode())
    recipients = [NewRecipient(ALICE, ALICE, "INBOX")]
    letter = NewLetter(owner, "", await staging.finish(), recipients, world.context.clock.now_s())
    await world.store.queue.accept(letter, owner, 120)


def test_the_deads_leases_end_and_nobody_elses_nor_the_own(tmp_path: Path) -> None:
    async def case() -> None:
        async with running(tmp_path) as world:
            for owner in ("dead", "alive", world.context.owner):
                await accept(world, owner)
            asked: list[str] = []

            def gone(names: Iterable[str]) -> Sequence[str]:
                asked.extend(names)
                return ["dead"]

            await release_dead(world.context, gone)
            assert sorted(asked) == ["alive", "dead"]
            assert sorted(await world.store.queue.list_owners()) == ["alive", world.context.owner]
            (line,) = [line for line in world.lines if line["event"] == "queue.leases_released"]
            assert (line["owners"], line["recipients"]) == (["dead"], 1)

    asyncio.run(case())


def test_a_process_that_takes_its_first_lease_while_we_look_keeps_it(tmp_path: Path) -> None:
    async def case() -> None:
        async with running(tmp_path) as world:
            await accept(world, "dead")
            taken: list[asyncio.Task[None]] = []

            def gone(names: Iterable[str]) -> Sequence[str]:
                taken.append(asyncio.create_task(accept(world, "starting")))
                return [name for name in names if name != "alive"]

            await release_dead(world.context, gone)
            await asyncio.gather(*taken)
            assert list(await world.store.queue.list_owners()) == ["starting"]

    asyncio.run(case())
