"""The store under power cuts: what was answered is there, nothing else is, nothing is torn (promises R03, R04, R28)."""

from __future__ import annotations

import os
import random
import time
from functools import partial
from pathlib import Path

import pytest

from . import plants
from .campaign import Child, Plant, in_child, rounds, with_own_mounts
from .disks import Disk, mounted
from .ledger import Verdict
from .store_writers import audit, write_all

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts disks: needs root"),
]

PROCESS_COUNT = 2
"""Each with two writers: four at once."""

CUTS_PER_DISK_COUNT = 100
"""The disk is small, and each audit reads all of it."""


def wait_for_notes(ledgers: Path, count: int) -> None:
    """Returns when the writers have noted so many lines more, and another moment later."""
    before = count_notes(ledgers)
    deadline_s = time.monotonic() + 20
    while count_notes(ledgers) < before + count and time.monotonic() < deadline_s:
        time.sleep(0.001)
    time.sleep(random.uniform(0, 0.005))


def count_notes(ledgers: Path) -> int:
    """Lines in all ledgers."""
    return sum(path.read_bytes().count(b"\n") for path in ledgers.iterdir())


def cut_once(disk: Disk, folder: Path, plant: Plant) -> tuple[Verdict, list[str]]:
    """Lets four writers work, cuts the power, mounts again and audits."""
    marker = folder / "cut"
    marker.unlink(missing_ok=True)
    ledgers = folder / "ledgers"
    ledgers.mkdir(exist_ok=True)
    root = disk.place / "store"
    children = [
        Child(partial(write_all, root, ledgers, number, marker, 10**9), folder / f"errors-{number}", plant)
        for number in range(PROCESS_COUNT)
    ]
    for child in children:
        child.wait_ready()
    for child in children:
        child.go()
    wait_for_notes(ledgers, random.randint(1, 40))
    marker.touch()
    disk.cut_power()
    for child in children:
        child.kill()
    disk.umount()
    disk.mount()
    return in_child(lambda: audit(root, ledgers))  # type: ignore[no-any-return]


def cut_many(folder: Path, cut_count: int) -> None:
    """So many cuts, on a fresh disk after every CUTS_PER_DISK_COUNT of them."""
    promised_count = 0
    for first in range(0, cut_count, CUTS_PER_DISK_COUNT):
        place = folder / f"disk-{first}"
        place.mkdir()
        verdict = Verdict(0)
        with mounted(place) as disk:
            for number in range(first, min(first + CUTS_PER_DISK_COUNT, cut_count)):
                verdict, findings = cut_once(disk, place, lambda: None)
                assert verdict.is_clean, f"cut {number}: {verdict}; {findings}"
                assert findings == [], f"cut {number}: {findings}"
        promised_count += verdict.promised_count
    print(
        f"{cut_count} power cuts, {PROCESS_COUNT * 2} writers, {promised_count} letters promised: all clean"
    )
    assert promised_count > cut_count


@with_own_mounts
def test_what_was_answered_survives_power_cuts(tmp_path: Path) -> None:
    cut_many(tmp_path, rounds(200))


@pytest.mark.long
@pytest.mark.timeout(6 * 3600)
@with_own_mounts
def test_what_was_answered_survives_thousands_of_power_cuts(tmp_path: Path) -> None:
    cut_many(tmp_path, rounds(2000))


@pytest.mark.parametrize("plant", [plants.sync_less, plants.sync_no_files])
@with_own_mounts
def test_the_campaign_finds_a_store_that_syncs_too_little(plant: Plant, tmp_path: Path) -> None:
    with mounted(tmp_path) as disk:
        for _ in range(20):
            verdict, findings = cut_once(disk, tmp_path, plant)
            if not verdict.is_clean or findings:
                return
    pytest.fail(f"twenty cuts found nothing: {verdict}")
