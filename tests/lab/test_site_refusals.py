"""A host that cannot become a mail host is refused before anything on it is changed, with the reason."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mailserver_py.lab.lab import Lab
from mailserver_py.spec.load import Site

from .provisioning import Target, make_target

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

SILENCE_S = 60
"""Longer, an operator takes a host that says nothing for a hung deploy."""


@pytest.fixture(scope="module")
def fresh(site_lab: Lab, site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A host that was never deployed to; each test leaves it as it was."""
    host = site_lab.new_host("fresh.lab.test")
    yield make_target(site_lab, site, host, tmp_path_factory.mktemp("fresh") / "lab")
    host.remove(site_lab.network)


@pytest.mark.parametrize(
    ("damage", "mend", "reason"),
    [
        (
            "sed -i.kept s/^ID=.*/ID=ubuntu/ /usr/lib/os-release",
            "mv /usr/lib/os-release.kept /usr/lib/os-release",
            "runs ubuntu 12",
        ),
        (
            'sed -i.kept s/^VERSION_ID=.*/VERSION_ID=\\"11\\"/ /usr/lib/os-release',
            "mv /usr/lib/os-release.kept /usr/lib/os-release",
            "runs debian 11",
        ),
        (
            "mv /usr/bin/python3 /usr/bin/python3.kept",
            "mv /usr/bin/python3.kept /usr/bin/python3",
            "it has no python3",
        ),
    ],
    ids=["another distribution", "an old Debian", "no Python"],
)
def test_an_unfit_host_is_refused_untouched(fresh: Target, damage: str, mend: str, reason: str) -> None:
    fresh.sh(damage)
    try:
        before = fresh.state()
        run = fresh.deploy()
        after = fresh.state()
    finally:
        fresh.sh(mend)
    assert run.status == 1
    assert reason in run.text
    assert "nothing on it was changed" in run.text
    assert "Starting operation" not in run.text
    assert "Traceback" not in run.text
    assert after == before


def test_a_host_behind_a_cut_cable_is_given_up_in_time(fresh: Target) -> None:
    fresh.lab.faults.cut(fresh.host)
    try:
        run = fresh.deploy()
    finally:
        fresh.lab.faults.heal(fresh.host)
    print(f"given up after {run.seconds:.1f} s")
    assert run.status == 1
    assert fresh.host.plan.name in run.text
    assert "Traceback" not in run.text
    assert run.seconds < SILENCE_S
