"""UNAUTHENTICATE: RFC 8437. The connection forgets everything but TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..replies import Reply, ok
from .shape import LOGGED_IN, Command, Updates, parse_nothing

if TYPE_CHECKING:
    from ..session import Session


async def run(session: Session, request: None) -> Reply | None:
    """Back to the not authenticated state; nothing is expunged, and compression ends behind the OK (§3)."""
    await session.send(ok(b"UNAUTHENTICATE completed").serialize(session.tag))
    await session.log_out()
    return None


COMMAND = Command(
    b"UNAUTHENTICATE",
    LOGGED_IN,
    parse_nothing,
    run,
    capabilities=(b"UNAUTHENTICATE",),
    updates=Updates.NONE,
)
