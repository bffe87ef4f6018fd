"""STARTTLS: RFC 9051 §6.2.1. Bytes that came in the clear after the command end the connection (promises S03)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..replies import Reply, bad, ok
from .shape import Command, State, Updates, parse_nothing

if TYPE_CHECKING:
    from ..session import Session


async def run(session: Session, request: None) -> Reply | None:
    """The OK goes out in the clear, then TLS begins."""
    if session.tls:
        raise bad(b"TLS is active already")
    await session.send(ok(b"Begin TLS now").serialize(session.tag))
    await session.start_tls()
    return None


COMMAND = Command(b"STARTTLS", State.NOT_AUTHENTICATED, parse_nothing, run, updates=Updates.NONE)
