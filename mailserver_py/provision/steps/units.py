"""The units' files; and away with those of ours that the spec no longer wants, stopped before they are removed."""

from __future__ import annotations

from collections.abc import Iterator

from ..filesystem import Absent, File, Wanted, difference, reason_to_change
from ..seen import Seen
from ..units import FIREWALL, RELOAD, unit_files, workers
from ..wish import UNITS, Wish
from .shape import Change, Step


def changes(wish: Wish, seen: Seen) -> Iterator[Change]:
    wanted = {name: File(f"{UNITS}/{name}", text) for name, text in unit_files(wish).items()}
    present = {path.rpartition("/")[2] for path in seen.below(UNITS)}
    stale = sorted(present - set(wanted) - {FIREWALL})
    extra = sorted(
        name
        for name, unit in seen.units.items()
        if name.startswith("mailserver-worker@")
        and name not in workers(wish, seen)
        and (unit.get("ActiveState") != "inactive" or unit.get("UnitFileState") == "enabled")
    )
    unwanted = [name for name in stale if "@." not in name] + extra
    if unwanted:
        yield Change(
            what=tuple(f"{name}: no longer wanted" for name in unwanted),
            script=f"systemctl disable --quiet --now {' '.join(unwanted)}",
        )
    # A running socket keeps its old form whatever its file says: it is stopped first, so that a run which dies
    # in between leaves it stopped, which the next run sees and mends.
    reshaped = [
        name
        for name, file in wanted.items()
        if name.endswith(".socket") and seen.active(name) and reason_to_change(file, seen)
    ]
    if reshaped:
        yield Change(
            what=tuple(f"{name}: stopped to be opened anew" for name in reshaped),
            script=f"systemctl stop {' '.join(reshaped)}",
        )
    files: list[Wanted] = [*wanted.values(), *(Absent(f"{UNITS}/{name}") for name in stale)]
    written = False
    for change in difference(files, seen, then=RELOAD):
        written = True
        yield change
    if not written and any(unit.get("NeedDaemonReload") == "yes" for unit in seen.units.values()):
        yield Change(what=("units: written, but not loaded",), script=RELOAD)


STEP = Step("systemd units", changes)
