"""What is left of a lab, asked of the kernel, and its removal: processes, mounts, namespaces, links, tables, groups.

Works without the lab's own files, so that it mends a crash of ours too. Only processes that live in this lab's cgroups
or network namespaces are ended, never by name, and never this process or those that started it.
"""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from . import cgroups
from .commands import attempt
from .mounts import mounted_below, remove_tree
from .names import CACHE, NAMESPACES, PREFIX, STATE, Names

GRACE_S = 3.0
SETTINGS = STATE / "machine.json"
"""What the machine's own settings were before the first lab; one for all labs."""


@dataclass(frozen=True, slots=True)
class Remains:
    """What the kernel and the disk still have of a lab."""

    processes: tuple[int, ...] = ()
    mounts: tuple[Path, ...] = ()
    namespaces: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()

    def render(self) -> list[str]:
        """One line per kind that is not empty."""
        kinds = ("processes", "mounts", "namespaces", "links", "tables", "groups", "folders")
        found = ((kind, getattr(self, kind)) for kind in kinds)
        return [f"{kind}: {', '.join(map(str, things))}" for kind, things in found if things]


def find(names: Names) -> Remains:
    """Look for everything that a lab could have left."""
    namespaces = tuple(sorted(p.name for p in _listed(NAMESPACES) if names.owns(p.name)))
    groups = tuple(sorted(cgroups.of_lab(names)))
    links = attempt(["ip", "-brief", "link", "show", "type", "veth"]).stdout.splitlines()
    tables = attempt(["nft", "list", "tables", "ip"]).stdout.splitlines()
    return Remains(
        processes=_processes(namespaces, groups),
        mounts=mounted_below(names.state),
        namespaces=namespaces,
        links=tuple({line.split()[0].partition("@")[0] for line in links} & {names.namespace}),
        tables=tuple({line.split()[-1] for line in tables} & {names.namespace}),
        groups=groups,
        folders=(names.state,) if names.state.exists() else (),
    )


def remove(names: Names) -> Remains:
    """End and remove it all; returns what still stands (nothing, unless something is broken)."""
    there = find(names)
    for group in there.groups:
        cgroups.kill(group)
    _end(_processes(there.namespaces, there.groups))
    for namespace in there.namespaces:
        attempt(["ip", "netns", "del", namespace])
    for link in there.links:
        attempt(["ip", "link", "del", link])
    for table in there.tables:
        attempt(["nft", "delete", "table", "ip", table])
    for group in there.groups:
        cgroups.remove(group)
    remove_tree(names.state)
    if not any(p.name.startswith(PREFIX) for p in _listed(NAMESPACES)):
        for setting, value in _kept_settings().items():
            Path("/proc/sys", setting).write_text(value)
        SETTINGS.unlink(missing_ok=True)
        with suppress(OSError):
            STATE.rmdir()
    return find(names)


def remove_cache() -> None:
    """Images and host keys too; `down --all`."""
    remove_tree(CACHE)


def set_machine(setting: str, value: str) -> None:
    """Change one of the machine's sysctls, and note the old value so that the last lab's `down` puts it back."""
    place = Path("/proc/sys", setting)
    old = place.read_text().strip()
    if old == value:
        return
    STATE.mkdir(parents=True, exist_ok=True)
    SETTINGS.write_text(json.dumps({setting: old, **_kept_settings()}))
    place.write_text(value)


def _kept_settings() -> dict[str, str]:
    with suppress(OSError, ValueError):
        return {str(setting): str(value) for setting, value in json.loads(SETTINGS.read_text()).items()}
    return {}


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _processes(namespaces: tuple[str, ...], groups: tuple[str, ...]) -> tuple[int, ...]:
    """Who lives in the lab's groups or network namespaces, but for us and our ancestors."""
    wanted = set()
    for namespace in namespaces:
        with suppress(OSError):
            wanted.add((NAMESPACES / namespace).stat().st_ino)
    found = {pid for group in groups for pid in cgroups.members(group)}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if (entry / "ns/net").stat().st_ino in wanted:
                    found.add(int(entry.name))
    return tuple(sorted(found - _ancestry()))


def _ancestry() -> set[int]:
    line, pid = {os.getpid()}, os.getpid()
    while pid > 1:
        with suppress(OSError):
            status = Path(f"/proc/{pid}/status").read_text()
            pid = int(status.partition("PPid:")[2].split()[0])
            line.add(pid)
            continue
        break
    return line


def _end(pids: tuple[int, ...]) -> None:
    for pid in pids:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + GRACE_S
    while any(_lives(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.01)


def _lives(pid: int) -> bool:
    with suppress(OSError):
        # proc(5): the state follows the name in parentheses; Z is dead, waiting for its parent.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
