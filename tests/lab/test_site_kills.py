"""A deployed host dies under load, and no letter that it took is lost, torn or doubled (promises R01 to R04)."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from mailserver_py.daemon.context import LEASE_S
from tests.faults.ledger import Entry, Verdict, evaluate, load_entries

from .provisioning import ROOT
from .standing import ALICE, BOB, Standing

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

KILLS_COUNT = 6
PAUSE_S = 1.5
"""Between two kills: systemd starts a process again after one second."""

PATIENCE_S = 20.0
"""Until the queue has delivered what a dead process left; it looks as soon as a lease is over."""


def _python(site: Standing, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.lab.load", *words]
    return subprocess.Popen(
        site.lab.inside(command),
        cwd=ROOT,
        env=site.target.environment,
        stdout=subprocess.PIPE,
        text=True,
    )


@contextmanager
def load(site: Standing, ledgers: Path, seconds: float) -> Iterator[None]:
    """Letters from Alice and from strangers to Bob, while the block runs and until the seconds are over."""
    sender = [site.name, ALICE, site.password(ALICE), BOB]
    with _python(site, "send", str(ledgers), str(seconds), *sender) as child:
        yield
        assert child.wait(timeout=120) == 0


def audit(site: Standing, ledgers: Path) -> Verdict:
    """What was promised, against what Bob has, once the queue has taken up what dead processes had in hand."""
    entries = load_entries(ledgers.glob("*.ledger"))
    with clock_ahead(site, LEASE_S + 5):
        end = time.monotonic() + PATIENCE_S
        while (verdict := _compare(site, entries)).lost and time.monotonic() < end:
            time.sleep(0.5)
    return verdict


@contextmanager
def clock_ahead(site: Standing, offset_s: int) -> Iterator[None]:
    """The queue's clock is ahead: what waits for that long is due now."""
    site.lab.faults.set_clock(site.host, offset_s)
    site.sh("systemctl restart mailserver-queue")
    site.host.wait_listening(993)
    try:
        yield
    finally:
        site.lab.faults.set_clock(site.host, 0)
        site.sh("systemctl restart mailserver-queue")


def _compare(site: Standing, entries: Mapping[str, Entry]) -> Verdict:
    with _python(site, "read", site.name, BOB, site.password(BOB)) as child:
        assert child.stdout is not None
        found = json.loads(child.stdout.read())
    return evaluate(entries, {name: hashes for name, hashes in found.items() if name in entries})


def test_what_was_accepted_survives_the_death_of_every_process(one_host: Standing, tmp_path: Path) -> None:
    with load(one_host, tmp_path, (KILLS_COUNT + 1) * PAUSE_S):
        for _ in range(KILLS_COUNT):
            time.sleep(PAUSE_S)
            one_host.sh("systemctl kill --signal KILL 'mailserver-worker@*' mailserver-queue")
    verdict = audit(one_host, tmp_path)
    print(f"{KILLS_COUNT} kills of all processes: {verdict}")
    assert verdict.is_clean, verdict
    assert verdict.promised_count > 10 * KILLS_COUNT


def test_what_was_accepted_survives_a_power_cut(one_host: Standing, tmp_path: Path) -> None:
    with load(one_host, tmp_path, 12):
        time.sleep(4)
        dark_s = one_host.host.lose_power()
    verdict = audit(one_host, tmp_path)
    print(f"power cut, up again after {dark_s:.1f} s: {verdict}")
    assert verdict.is_clean, verdict
    assert verdict.promised_count > 50
    one_host.sh("/opt/mailserver/current/bin/mailserver store check")
