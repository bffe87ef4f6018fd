"""What happened in the selected mailbox, told where RFC 9051 §7.5.1 allows it: the order of the pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..mailstore.values import NoSuchMailbox, StoreError

if TYPE_CHECKING:
    from .session import Session


async def tell(session: Session, *, expunges: bool) -> None:
    """Asks the store for news of the selected mailbox and tells them; followed searches before and behind."""
    box = session.selected
    if box is None:
        return
    try:
        await box.refresh()
    except NoSuchMailbox:
        # RFC 2180 §3: the one way that every client understands.
        session.deselect()
        await session.farewell(b"The selected mailbox was deleted")
        return
    except StoreError:
        return  # the news stay where they are, the next command asks again
    if expunges and box.has_gone:
        await session.send(session.contexts.before_expunges(box))
    for chunk in box.updates(expunges=expunges, recent=not session.rev2):
        await session.send(chunk)
    await session.send(await session.contexts.behind(box))
