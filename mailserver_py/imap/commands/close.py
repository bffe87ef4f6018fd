"""CLOSE: RFC 9051 §6.4.1. Expunges without telling, unless the mailbox is read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..replies import Reply, ok
from .shape import Command, State, Updates, parse_nothing

if TYPE_CHECKING:
    from ..session import Session


async def run(session: Session, request: None) -> Reply:
    """Only what this session knows is expunged: what it never saw it cannot mean to remove."""
    box = session.box()
    if not box.read_only:
        await box.account.expunge(box.mailbox.mailbox_id, list(box.uids))
    session.deselect()
    return ok(b"CLOSE completed")


COMMAND = Command(b"CLOSE", State.SELECTED, parse_nothing, run, updates=Updates.NONE)
