"""NOOP: RFC 9051 §6.1.2. Does nothing; the session tells the news after it, as after every command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..replies import Reply, ok
from .shape import ANY, Command, parse_nothing

if TYPE_CHECKING:
    from ..session import Session


async def run(session: Session, request: None) -> Reply:
    """Nothing."""
    return ok(b"NOOP completed")


COMMAND = Command(b"NOOP", ANY, parse_nothing, run)
