"""UNSELECT: RFC 9051 §6.4.2, RFC 3691."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..replies import Reply, ok
from .shape import Command, State, Updates, parse_nothing

if TYPE_CHECKING:
    from ..session import Session


async def run(session: Session, request: None) -> Reply:
    """Closes without expunging."""
    session.deselect()
    return ok(b"UNSELECT completed")


COMMAND = Command(
    b"UNSELECT", State.SELECTED, parse_nothing, run, capabilities=(b"UNSELECT",), updates=Updates.NONE
)
