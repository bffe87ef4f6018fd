"""CAPABILITY: RFC 9051 §6.1.1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..replies import Reply, ok
from .shape import ANY, Command, Updates, parse_nothing

if TYPE_CHECKING:
    from ..session import Session


async def run(session: Session, request: None) -> Reply:
    """Lists what is there now."""
    await session.send(b"* CAPABILITY %b\r\n" % session.capabilities())
    return ok(b"CAPABILITY completed")


COMMAND = Command(b"CAPABILITY", ANY, parse_nothing, run, updates=Updates.NONE)
