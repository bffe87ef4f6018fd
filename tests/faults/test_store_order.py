"""No answer leaves while anything it rests on is unsynced: read from the system calls of a run (promise R05).

A power cut shows a missing sync only when it comes at the right moment; the order of the calls shows it always.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from mailserver_py.mailstore.embedded import writer

from . import plants
from .campaign import Child, Plant, traced
from .store_writers import write_in_turn

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(300),
    pytest.mark.skipif(os.geteuid() != 0, reason="traces processes: needs root"),
]

CALLS = "write,pwrite64,fsync,fdatasync,rename,mkdir,unlink,writev"
LINE = re.compile(r"^(?P<thread>\d+) +(?P<rest>.*)$")
CALL = re.compile(r"^(?P<name>\w+)\((?:\d+<(?P<path>[^>]*)>)?(?P<arguments>.*)")
RESUMED = re.compile(r"^<\.\.\. (?P<name>\w+) resumed>(?P<arguments>.*)")
PATHS = re.compile(r'"([^"]*)"')
LETTER_ANSWER, CHANGE_ANSWER = '\\"answered\\"', '\\"done\\"'


class Watcher:
    """Follows which files and folders are dirty, and collects what was wrong at each answer."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.dirty: set[str] = set()
        self.dirty_databases: set[str] = set()
        self.faults: list[str] = []
        self.answer_count = 0
        self.open_calls: dict[str, tuple[str, str, str]] = {}

    def read(self, log: str) -> None:
        """Takes a whole log."""
        for line in map(LINE.match, log.splitlines()):
            if line is None:
                continue
            thread, rest = line["thread"], line["rest"]
            resumed, call = RESUMED.match(rest), CALL.match(rest)
            if resumed is not None and thread in self.open_calls:
                name, path, arguments = self.open_calls.pop(thread)
                self.ended(name, path, arguments + resumed["arguments"])
            elif call is not None:
                name, path, arguments = call["name"], call["path"] or "", call["arguments"]
                if name == "writev" and LETTER_ANSWER in arguments:
                    self.answered(self.dirty)
                elif name == "writev" and CHANGE_ANSWER in arguments:
                    # It rests on the account; the site's notes of released files are written behind it.
                    self.answered({path for path in self.dirty if not path.endswith("/site.db-wal")})
                if "<unfinished" in arguments:
                    self.open_calls[thread] = (name, path, arguments)
                else:
                    self.ended(name, path, arguments)

    def answered(self, dirty: set[str]) -> None:
        """An answer leaves: nothing may be dirty."""
        self.answer_count += 1
        self.faults += [f"answer {self.answer_count}: {path} is not synced" for path in sorted(dirty)]

    def ended(self, name: str, path: str, arguments: str) -> None:
        """A call has returned."""
        if name in ("write", "pwrite64") and path.startswith(self.root):
            self.written(path, arguments)
        elif name in ("fsync", "fdatasync"):
            self.dirty.discard(path)
            self.dirty_databases.discard(path)
        elif name == "rename":
            old, new = PATHS.findall(arguments)[:2]
            if old in self.dirty:
                self.dirty.add(new)
                self.dirty.discard(old)
            self.dirty.add(os.path.dirname(new))
        elif name == "unlink":
            self.dirty -= set(PATHS.findall(arguments))

    def written(self, path: str, arguments: str) -> None:
        """A database's pages are safe in its log until the log begins anew; the shared memory is no promise at all."""
        if path.endswith("-shm"):
            return
        if path.endswith(".db"):
            self.dirty_databases.add(path)
            return
        if path.endswith("-wal") and arguments.rstrip().endswith(", 0) = 32"):
            database = path.removesuffix("-wal")
            if database in self.dirty_databases:
                self.faults.append(f"{path} begins anew before {database} is synced")
        self.dirty.add(path)


def watch(folder: Path, plant: Plant) -> Watcher:
    """A sender and a reader in turn, one call at a time, while strace looks on."""
    (folder / "ledgers").mkdir()

    def prepare() -> None:
        writer.CHECKPOINT_STEP_COUNT = 5
        plant()

    work = partial(write_in_turn, folder / "store", folder / "ledgers", 40)
    child = Child(work, folder / "errors", prepare)
    child.wait_ready()
    with traced(child, folder / "log", "-yy", "-s", "100", "-e", f"trace={CALLS}"):
        child.go()
        assert child.wait() == 0
    watcher = Watcher(folder / "store")
    watcher.read((folder / "log").read_text(errors="replace"))
    return watcher


def test_no_answer_leaves_before_all_it_rests_on_is_synced(tmp_path: Path) -> None:
    watcher = watch(tmp_path, lambda: None)
    assert watcher.faults == []
    assert watcher.answer_count >= 80


@pytest.mark.parametrize(
    ("plant", "fault"),
    [
        (plants.sync_no_files, "/blobs/"),
        (plants.sync_no_folders, "/blobs/"),
        (plants.sync_less, "-wal is not synced"),
    ],
)
def test_the_watcher_sees_each_missing_sync(plant: Callable[[], None], fault: str, tmp_path: Path) -> None:
    assert any(fault in found for found in watch(tmp_path, plant).faults)
