"""Rules of the menu as a whole, on hosts in memory; `test_debian` holds real ones to them."""

from __future__ import annotations

import pkgutil

import pytest

from mailserver_py.provision import steps
from mailserver_py.provision.steps import MENU

from .worlds import FRESH, SECRETS, Host, make_wish, settled, whats


def test_every_leaf_is_on_the_menu_and_every_row_is_a_leaf() -> None:
    leaves = {info.name for info in pkgutil.iter_modules(steps.__path__)} - {"shape"}
    assert len(MENU) == len(leaves) == len({row.name for row in MENU})
    assert {getattr(steps, leaf).STEP.name for leaf in leaves} == {row.name for row in MENU}


def test_a_second_run_changes_nothing() -> None:
    host = settled(make_wish())
    assert host.run(make_wish()) == []


FIRST_RUN = len(Host().run(make_wish()))


@pytest.mark.parametrize("changes_made", range(FIRST_RUN))
def test_a_run_killed_after_any_change_is_mended_by_the_next(changes_made: int) -> None:
    host = Host()
    host.run(make_wish(), kill_after=changes_made)
    host.run(make_wish())
    assert host.seen.entries.keys() == settled(make_wish()).seen.entries.keys()
    assert host.seen.units == settled(make_wish()).seen.units
    assert host.run(make_wish()) == []


UPDATE = len(
    settled(make_wish()).run(make_wish(release="bbbbbbbb", secrets=SECRETS | {"passwords": b"other"}))
)


@pytest.mark.parametrize("changes_made", range(UPDATE))
def test_an_update_killed_after_any_change_still_restarts_every_process(changes_made: int) -> None:
    new = make_wish(release="bbbbbbbb", secrets=SECRETS | {"passwords": b"other"})
    host = settled(make_wish())
    old_marks = {unit["Stamp"] for unit in host.seen.units.values() if "Stamp" in unit}
    host.run(new, kill_after=changes_made)
    host.run(new)
    marks = {unit["Stamp"] for unit in host.seen.units.values() if "Stamp" in unit}
    assert len(marks) == 1
    assert marks.isdisjoint(old_marks)


def test_no_secret_stands_in_a_plan_or_a_command_line() -> None:
    host = Host()
    changes = host.run(make_wish())
    shown = repr(changes) + "\n".join(whats(changes)) + "\n".join(host.scripts) + repr(make_wish())
    assert "canary" not in shown


def test_planning_opens_no_secret_before_the_secrets_are_due() -> None:
    def locked() -> dict[str, bytes]:
        raise AssertionError("opened")

    wish = make_wish()
    object.__setattr__(wish, "open_secrets", locked)
    assert "canary" not in repr(wish)
    for name in ("packages and time", "system user", "directories", "release"):
        step = next(row for row in MENU if row.name == name)
        list(step.changes(wish, FRESH))  # type: ignore[union-attr]  # these four are steps


def test_what_is_in_use_stays_until_the_new_release_is_whole() -> None:
    host = settled(make_wish())
    changes = host.run(make_wish(release="bbbbbbbb"))
    order = whats(changes)
    installed = next(i for i, line in enumerate(order) if line.startswith("release 1.2.3-bbbbbbbb"))
    switched = next(i for i, line in enumerate(order) if line.startswith("/opt/mailserver/current"))
    restarted = next(i for i, line in enumerate(order) if line.startswith("mailserver-worker@1.service"))
    assert installed < switched < restarted
