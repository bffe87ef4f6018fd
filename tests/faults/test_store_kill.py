"""The store under kills, failing syncs and full disks at every system call that changes the disk (R01, R02, R06, R08).

strace injects the fault at the n-th such call of a thread. How many points there are is counted in a run without a
fault; the bounded form takes so many of them, evenly spread.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from mailserver_py.mailstore.embedded import writer

from . import plants
from .campaign import WRITING, Child, Plant, in_child, rounds, traced
from .ledger import Answer, Verdict, load_entries
from .store_writers import audit, write_all

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(os.geteuid() != 0, reason="traces processes: needs root"),
]

CALLS_PER_WRITER_COUNT = 8
"""Letters of the sender and changes of the reader in one run: enough for every kind of call, and for a checkpoint."""


WRITES = "write,pwrite64,rename,mkdir,ftruncate,fallocate"
SYNCS = "fsync,fdatasync"


class Run(NamedTuple):
    """What one faulty run showed."""

    log: str
    """strace's."""
    verdict: Verdict
    findings: list[str]
    errors: str
    """What escaped from the child, other than the store's own errors."""


def checkpoint_often() -> None:
    """Lets a short run meet the faults of a checkpoint too."""
    writer.CHECKPOINT_STEP_COUNT = 5


def faulty_run(folder: Path, inject: str, plant: Plant = lambda: None) -> Run:
    """One process works while strace injects; then the audit."""
    root, ledgers, errors, log = folder / "store", folder / "ledgers", folder / "errors", folder / "strace"
    ledgers.mkdir(exist_ok=True)
    errors.unlink(missing_ok=True)

    def prepare() -> None:
        checkpoint_often()
        plant()

    work = partial(write_all, root, ledgers, 0, folder / "never", CALLS_PER_WRITER_COUNT)
    child = Child(work, errors, prepare)
    child.wait_ready()
    options = ["-e", f"trace={WRITING}"] + (["-e", f"inject={inject}"] if inject else [])
    with traced(child, log, *options):
        child.go()
        child.wait()
    verdict, findings = in_child(lambda: audit(root, ledgers))
    return Run(
        log.read_text(errors="replace"), verdict, findings, errors.read_text() if errors.exists() else ""
    )


def count_points(folder: Path, calls: str) -> int:
    """How many of these calls the busiest thread makes in a run without a fault."""
    wanted = set(calls.split(","))
    lines = (line.split(None, 2) for line in faulty_run(folder, "").log.splitlines())
    made = Counter(words[0] for words in lines if words[1].partition("(")[0] in wanted)
    return max(made.values())


def every_point(
    folder: Path, calls: str, fault: str, check: Callable[[Run, str], None], bounded: int
) -> None:
    """Runs with the fault at each point, or at so many of them, evenly spread."""
    point_count = count_points(folder, calls)
    run_count = min(point_count, rounds(bounded))
    met_count = 0
    for number in range(run_count):
        point = 1 + number * point_count // run_count
        run = faulty_run(folder, f"{calls}:{fault}:when={point}")
        met_count += "INJECTED" in run.log or "killed by SIGKILL" in run.log
        check(run, f"{fault} at {point} of {point_count}")
    print(f"{fault}: {point_count} points, {run_count} runs, {met_count} met the fault")
    assert point_count > 20
    # Threads share the calls differently in each run: some of the last points are not reached.
    assert met_count > run_count // 4


def must_be_clean(run: Run, where: str) -> None:
    """Nothing broken, nothing escaped."""
    assert run.verdict.is_clean, f"{where}: {run.verdict} {run.findings}"
    assert run.findings == [], where
    assert run.errors == "", where


def test_a_kill_at_any_change_of_the_disk_breaks_no_promise(tmp_path: Path) -> None:
    every_point(tmp_path, WRITING, "signal=SIGKILL", must_be_clean, bounded=80)


@pytest.mark.long
@pytest.mark.timeout(6 * 3600)
@pytest.mark.parametrize(
    ("calls", "fault"),
    [(WRITING, "signal=SIGKILL"), (WRITES, "error=ENOSPC"), (WRITES, "error=EIO"), (SYNCS, "error=EIO")],
)
def test_every_single_point_is_clean(calls: str, fault: str, tmp_path: Path) -> None:
    every_point(tmp_path, calls, fault, must_be_clean, bounded=100_000)


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_a_write_that_fails_refuses_its_call_and_breaks_no_promise(error: str, tmp_path: Path) -> None:
    every_point(tmp_path, WRITES, f"error={error}", must_be_clean, bounded=30)
    entries = list(load_entries(tmp_path.glob("ledgers/letters-*")).values())
    assert any(entry.answer is Answer.REFUSED for entry in entries)
    assert entries[-1].answer is Answer.PROMISED


def test_a_failed_sync_is_never_turned_into_a_promise(tmp_path: Path) -> None:
    every_point(tmp_path, SYNCS, "error=EIO", must_be_clean, bounded=30)
    lives: dict[str, list[Answer]] = {}
    for entry in load_entries(tmp_path.glob("ledgers/letters-*")).values():
        lives.setdefault(entry.identity.partition("-")[0], []).append(entry.answer)
    assert any(Answer.REFUSED in answers for answers in lives.values())
    for life, answers in lives.items():
        after = answers[answers.index(Answer.REFUSED) :] if Answer.REFUSED in answers else []
        assert set(after) <= {Answer.REFUSED}, f"{life}: {answers}"


def test_the_campaign_finds_a_store_that_delivers_twice(tmp_path: Path) -> None:
    points = range(1, 120, 3)
    runs = (
        faulty_run(tmp_path, f"{WRITING}:signal=SIGKILL:when={point}", plants.forget_deliveries)
        for point in points
    )
    assert any(run.verdict.dup for run in runs)


def test_the_campaign_finds_a_refused_commit_that_comes_back(tmp_path: Path) -> None:
    inject = "fsync,fdatasync:error=EIO:when={}"
    runs = (
        faulty_run(tmp_path, inject.format(point), plants.leave_refused_commits) for point in range(1, 40)
    )
    assert any(run.verdict.ghost or run.findings for run in runs)
