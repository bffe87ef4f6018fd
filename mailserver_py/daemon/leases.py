"""Leases of the dead, in the queue's process: what a process had in hand when it was killed is due again at once.

Without this a letter waits for the end of its lease (`context.LEASE_S`). A process binds its end of the bus under the
name that owns its leases before it can take any, and no name comes twice. So an owner that holds a lease and then is
not heard of is dead; the order of the two questions is what keeps one safe that just starts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from mailserver_py.mailstore.values import StoreError

from .context import DaemonContext

LOOK_S = 1.0
"""Between looks: what a killed process delays a letter by. One look is a read of a few rows."""

Gone = Callable[[Iterable[str]], Sequence[str]]
"""Which of some processes do not live: `Bus.gone`."""


async def watch_leases(context: DaemonContext, gone: Gone) -> None:
    """For ever."""
    while True:
        await release_dead(context, gone)
        await asyncio.sleep(LOOK_S)


async def release_dead(context: DaemonContext, gone: Gone) -> None:
    """One look. A store that cannot answer now is asked again."""
    queue = context.store.queue
    try:
        others = [owner for owner in await queue.list_owners() if owner != context.owner]
        dead = gone(others) if others else ()
        if dead:
            count = await queue.release_owners(dead)
            context.log.event("queue.leases_released", owners=list(dead), recipients=count)
    except StoreError as error:
        context.log.event("queue.unavailable", error=str(error))
