"""What only the mail host itself can see: the space left, the queue's process. Runs when verification runs there."""

from __future__ import annotations

import asyncio
import shutil
import socket
from pathlib import Path

from mailserver_py.verify.shape import Check, Outcome
from mailserver_py.verify.world import World

WARN_SHARE = 0.10
"""Below a tenth free, file systems slow down and a week of ordinary mail may not fit."""


QUEUE_SOCKETS = "queue.*.bus"
"""By its end of the bus (`net.bus`) the queue's process is known to the others."""


async def run(world: World) -> Outcome:
    """Looks at the file system that holds the letters, and for the process that sends them."""
    outcome = Outcome()
    await _space(world, outcome)
    await _queue(world, outcome)
    return outcome


async def _space(world: World, outcome: Outcome) -> None:
    assert world.state_dir is not None
    usage = await asyncio.to_thread(shutil.disk_usage, world.state_dir)
    free = f"{usage.free / 2**30:.1f} GiB of {usage.total / 2**30:.1f} GiB free"
    if usage.free < WARN_SHARE * usage.total:
        outcome.find(
            "host.disk-full",
            str(world.state_dir),
            seen=free,
            wanted=f"at least {WARN_SHARE:.0%} free",
            fix="free space, or give the host a larger disk, before mail has to wait at its senders",
        )
    else:
        outcome.notes.append(free)


async def _queue(world: World, outcome: Outcome) -> None:
    if world.runtime_dir is None:
        return
    if not await asyncio.to_thread(_any_listens, world.runtime_dir, QUEUE_SOCKETS):
        outcome.find(
            "host.queue-stopped",
            str(world.runtime_dir),
            seen="no process of the queue",
            wanted="one that runs: it sends what our users write",
            fix="systemctl start mailserver-queue; why it ended:"
            " journalctl --namespace=+mailserver -u mailserver-queue",
        )


def _any_listens(folder: Path, pattern: str) -> bool:
    """Whether a process is behind one of the datagram sockets; a dead one leaves its socket behind, deaf."""
    for path in folder.glob(pattern):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(str(path))
            except OSError:
                continue
            return True
    return False


CHECK = Check(
    "host", "The host itself: space for letters, the queue", run, applies=lambda w: w.state_dir is not None
)
