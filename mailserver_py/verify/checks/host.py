"""What only the mail host itself can see: the space left. Runs when the verification runs on the host."""

from __future__ import annotations

import asyncio
import shutil

from mailserver_py.verify.shape import Check, Outcome
from mailserver_py.verify.world import World

WARN_SHARE = 0.10
"""Below a tenth free, file systems slow down and a week of ordinary mail may not fit."""


async def run(world: World) -> Outcome:
    """Looks at the file system that holds the letters."""
    outcome = Outcome()
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
    return outcome


CHECK = Check("host", "Space for letters on the host", run, applies=lambda w: w.state_dir is not None)
