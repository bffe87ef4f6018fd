"""A host's own control group: the kernel's list of everything that runs on it.

systemd-nspawn with --keep-unit takes the caller's cgroup. Hosts that shared one would see each other's processes as
pid 0 and could not stop their own services, so each host gets its own, in the cgroup2 hierarchy and, on a machine with
mixed hierarchies, in systemd's named one. It is also how a host is killed (`cgroup.kill`, all at once) and found again
after a crash of ours: no pid is written down anywhere.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from .names import Names

# A killed process may hold the kernel for a moment (a write on its way to the disk).
DEATH_S = 10.0


@cache
def hierarchies() -> tuple[Path, ...]:
    """Where cgroup trees that systemd uses are mounted; the cgroup2 one first."""
    unified, named = [], []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        place, kind = Path(left.split()[4]), right.split()
        if kind[0] == "cgroup2":
            unified.append(place)
        elif kind[0] == "cgroup" and "name=systemd" in kind[2].split(","):
            named.append(place)
    return (*unified[:1], *named[:1])


def joining(group: str, argv: Sequence[str]) -> list[str]:
    """Make a group, and return the command that steps into it and becomes `argv`."""
    gates = []
    for hierarchy in hierarchies():
        (hierarchy / group).mkdir(exist_ok=True)
        gates.append(str(hierarchy / group / "cgroup.procs"))
    script = f'for gate in {shlex.join(gates)}; do echo $$ > "$gate"; done; exec "$@"'
    return ["sh", "-ec", script, "sh", *argv]


def members(group: str) -> Iterator[int]:
    """The pids, as seen from here, of all that runs in a group and the groups below it."""
    for hierarchy in hierarchies()[:1]:
        for folder, _, _ in os.walk(hierarchy / group):
            with suppress(OSError):
                yield from map(int, (Path(folder) / "cgroup.procs").read_text().split())


def leader(group: str) -> int | None:
    """The host's pid 1, as seen from here; None when it does not run."""
    for pid in members(group):
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("NSpid:"):
                    numbers = line.split()[1:]
                    if len(numbers) > 1 and numbers[-1] == "1":
                        return pid
    return None


def kill(group: str) -> None:
    """SIGKILL to everything in a group at once, and wait until it is gone."""
    tree = hierarchies()[0] / group
    with suppress(OSError):
        (tree / "cgroup.kill").write_text("1")
    deadline = time.monotonic() + DEATH_S
    while next(members(group), None) is not None and time.monotonic() < deadline:
        time.sleep(0.005)
    # The kernel kills what is later born into a group that was killed (systemd 257 clones its children right into
    # theirs, and many die at birth), so the next boot gets new ones.
    remove(group)


def remove(group: str) -> None:
    """Remove a group and the groups below it, wherever it was made."""
    for hierarchy in hierarchies():
        for folder, _, _ in os.walk(hierarchy / group, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()


def of_lab(names: Names) -> set[str]:
    """The groups of a lab that the kernel has."""
    return {
        entry.name
        for hierarchy in hierarchies()
        for entry in hierarchy.iterdir()
        if entry.is_dir() and names.owns(entry.name)
    }
