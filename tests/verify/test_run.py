"""The runner: deadlines, independence, and what cannot be told."""

from __future__ import annotations

import asyncio

import pytest

from mailserver_py.verify.run import Wish, verify
from mailserver_py.verify.shape import Check, Outcome
from mailserver_py.verify.world import World

from .fakes import world


async def well(_: World) -> Outcome:
    return Outcome(notes=["fine"])


async def wrong(_: World) -> Outcome:
    outcome = Outcome()
    outcome.find("x.wrong", "x", seen="a", wanted="b", fix="c")
    return outcome


async def endless(_: World) -> Outcome:
    await asyncio.Event().wait()
    return Outcome()


async def broken(_: World) -> Outcome:
    raise ZeroDivisionError("a bug")


WELL, WRONG = Check("well", "Well", well), Check("wrong", "Wrong", wrong)
ENDLESS, BROKEN = Check("endless", "Endless", endless, deadline_s=0.01), Check("broken", "Broken", broken)


@pytest.mark.parametrize(
    ("checks", "status"),
    [([WELL], 0), ([WELL, WRONG], 1), ([WELL, ENDLESS], 75), ([ENDLESS, WRONG], 1), ([BROKEN], 75)],
    ids=["well", "wrong", "unknown", "wrong-beats-unknown", "broken-is-unknown"],
)
def test_the_exit_status_is_wrong_before_unknown_before_well(checks: list[Check], status: int) -> None:
    assert asyncio.run(verify("site", world(), checks)).exit_status == status


def test_a_check_past_its_deadline_could_not_tell_and_others_still_speak() -> None:
    verdict = asyncio.run(verify("site", world(), [ENDLESS, WRONG]))
    assert [f.code for r in verdict.results for f in r.findings] == ["endless.deadline", "x.wrong"]


def test_a_check_that_breaks_does_not_hide_the_others() -> None:
    verdict = asyncio.run(verify("site", world(), [BROKEN, WELL]))
    assert [r.state for r in verdict.results] == ["unknown", "ok"]


def test_only_the_named_checks_run_and_the_others_say_why_not() -> None:
    verdict = asyncio.run(verify("site", world(), [WELL, WRONG], Wish(only=("well",))))
    assert [(r.state, r.skipped) for r in verdict.results] == [("ok", ""), ("skipped", "not asked for")]


def test_a_check_that_the_spec_skips_is_not_run() -> None:
    verdict = asyncio.run(verify("site", world(), [WRONG], Wish(skip=("wrong",))))
    assert verdict.exit_status == 0


def test_progress_hears_of_each_result_as_it_ends() -> None:
    heard: list[str] = []
    asyncio.run(verify("site", world(), [ENDLESS, WELL], progress=lambda r: heard.append(r.check)))
    assert heard == ["well", "endless"]
