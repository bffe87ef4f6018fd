"""LOGOUT: RFC 9051 §6.1.3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..replies import Reply, ok
from .shape import ANY, Command, Updates, parse_nothing

if TYPE_CHECKING:
    from ..session import Session


async def run(session: Session, request: None) -> Reply:
    """BYE comes first, then the tagged OK, then the connection closes."""
    await session.farewell(b"Logging out")
    return ok(b"LOGOUT completed")


COMMAND = Command(b"LOGOUT", ANY, parse_nothing, run, updates=Updates.NONE)
