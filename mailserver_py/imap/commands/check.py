"""CHECK: RFC 3501 §6.4.1, removed by RFC 9051. What was answered is durable already, so nothing is left to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..replies import Reply, ok
from .shape import Command, State, parse_nothing

if TYPE_CHECKING:
    from ..session import Session


async def run(session: Session, request: None) -> Reply:
    """As NOOP."""
    return ok(b"CHECK completed")


COMMAND = Command(b"CHECK", State.SELECTED, parse_nothing, run)
