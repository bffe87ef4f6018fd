"""Sockets open, workers and queue running with exactly what is on the disk; restarted one by one when they are not.

Whether a process is of today is read from the process (`units.stamp`). While one worker restarts the others take
its connections, and with a single one the sockets hold them: no connection is refused.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..filesystem import File, difference
from ..releases import chosen_release
from ..seen import Seen
from ..units import JOURNAL, QUEUE, STAMP, STAND_IN, stamp, timers, workers
from ..wish import Wish
from .shape import Change, Step

JOURNAL_LINES = 20


def changes(wish: Wish, seen: Seen) -> Iterator[Change]:
    mark = stamp(wish, chosen_release(wish, seen))
    yield from difference([File(STAMP, f"MAILSERVER_STAMP={mark}\n".encode(), 0o600)], seen)
    sockets = tuple(door.unit for door in wish.doors)
    processes = (*workers(wish, seen), QUEUE)
    disabled = [
        name
        for name in (*sockets, *processes, *timers(wish))
        if seen.unit(name).get("UnitFileState") != "enabled"
    ]
    if disabled:
        # What does not run now either is named below, once.
        yield Change(
            what=tuple(f"{name}: not started at boot" for name in disabled if seen.active(name)),
            script=f"systemctl enable --quiet {' '.join(disabled)}",
        )
    if not seen.certificate:
        # Listeners need some certificate to answer; the real one needs listeners that answer.
        yield Change(what=("certificate: none, so a stand-in is made",), script=f"systemctl start {STAND_IN}")
    closed = [name for name in sockets if not seen.active(name)]
    paused = _paused(workers(wish, seen), mark, seen) if closed else ()
    if closed:
        yield Change(
            what=tuple(f"{name}: closed" for name in closed),
            script=_open(closed, paused, workers(wish, seen)),
        )
    why = {
        name: "stopped to open a socket" if name in paused else _why(name, mark, seen) for name in processes
    }
    if restart := {name: reason for name, reason in why.items() if reason}:
        yield Change(
            what=tuple(f"{name}: {reason}" for name, reason in restart.items()),
            script=_restart(list(restart)),
        )
    if idle := [name for name in timers(wish) if not seen.active(name)]:
        yield Change(
            what=tuple(f"{name}: not started" for name in idle), script=f"systemctl start {' '.join(idle)}"
        )


def _why(unit: str, mark: str, seen: Seen) -> str:
    if not seen.active(unit):
        return "not running"
    return (
        ""
        if seen.unit(unit).get("Stamp") == mark
        else "runs with an older release, settings, secrets or unit"
    )


def _paused(names: tuple[str, ...], mark: str, seen: Seen) -> tuple[str, ...]:
    """The workers to stop before a socket opens: the one that the sockets start, and those which would not be
    restarted for the new socket by their stamp alone, should this run die."""
    return (names[0], *(name for name in names[1:] if not _why(name, mark, seen)))


def _open(sockets: list[str], paused: tuple[str, ...], every: tuple[str, ...]) -> str:
    # systemd opens no socket whose service is running, and the kernel none that a worker still holds from before.
    # A connection to another socket may start a worker in between, hence the tries.
    start = f"systemctl start {' '.join(sockets)}"
    return (
        f"systemctl stop {' '.join(paused)}; {start} 2>/dev/null && exit 0;"
        f" for try in 1 2 3 4; do systemctl stop {' '.join(every)}; {start} && exit 0; sleep 0.3; done; exit 1"
    )


def _restart(units: list[str]) -> str:
    # One after the other, and no further after the first that fails: the others still serve.
    return (
        f"systemctl reset-failed {' '.join(units)} 2>/dev/null; for unit in {' '.join(units)}; do"
        f' systemctl restart "$unit" 2>/dev/null || {{ {JOURNAL} -n {JOURNAL_LINES} -u "$unit" >&2;'
        f' echo "$unit does not start; above are its last lines. The processes after it were left alone." >&2;'
        f" exit 1; }}; done"
    )


STEP = Step("processes", changes)
