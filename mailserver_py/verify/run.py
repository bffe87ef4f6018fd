"""Runs the menu: checks side by side, each within its deadline, none able to stop another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .shape import Check, Outcome, Result, Verdict, unknown
from .world import World

Progress = Callable[[Result], None]


@dataclass(frozen=True, slots=True)
class Wish:
    """Which checks to run: by name, and those that the spec leaves out."""

    only: Sequence[str] = ()
    skip: Sequence[str] = ()


async def verify(
    site: str,
    world: World,
    checks: Sequence[Check],
    wish: Wish | None = None,
    progress: Progress = lambda _: None,
) -> Verdict:
    """All results, in the menu's order; `progress` hears of each as it ends."""
    wish = wish or Wish()
    at = world.now().isoformat(timespec="seconds")

    async def one(check: Check) -> Result:
        result = await _run(check, world, wish)
        progress(result)
        return result

    return Verdict(site, at, await asyncio.gather(*(one(check) for check in checks)))


async def _run(check: Check, world: World, wish: Wish) -> Result:
    skipped = (
        "not asked for"
        if wish.only and check.name not in wish.only
        else "the spec leaves it out"
        if check.name in wish.skip
        else ""
        if check.applies(world)
        else "nothing to look at from here"
    )
    if skipped:
        return Result(check.name, check.title, 0.0, (), (), skipped)
    started = time.monotonic()
    try:
        async with asyncio.timeout(check.deadline_s):
            outcome = await check.run(world)
    except TimeoutError:
        outcome = Outcome(
            [
                unknown(
                    f"{check.name}.deadline",
                    check.title,
                    f"no end after {check.deadline_s:.0f} s",
                    "run it alone: --only " + check.name,
                )
            ]
        )
    except Exception as error:  # a check that breaks must not hide what the others found
        outcome = Outcome(
            [
                unknown(
                    f"{check.name}.broken",
                    check.title,
                    f"{type(error).__name__}: {error}"[:300],
                    "a fault of this check: report it",
                )
            ]
        )
    return Result(
        check.name, check.title, time.monotonic() - started, tuple(outcome.findings), tuple(outcome.notes)
    )
