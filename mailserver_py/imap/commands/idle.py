"""IDLE: RFC 9051 §6.3.13, RFC 2177. The daemon calls `session.changed` when something happened; DONE ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..replies import Reply, bad, ok
from .shape import LOGGED_IN, Command, parse_nothing

if TYPE_CHECKING:
    from ..session import Session


async def run(session: Session, request: None) -> Reply | None:
    """From here on news are told as they come; those of before at once."""

    async def take(line: bytes) -> Reply | None:
        if line.upper() != b"DONE":
            raise bad(b"Expected DONE")
        return ok(b"IDLE completed")

    session.idling = True
    session.want_lines(take)
    await session.send(b"+ Idling\r\n")
    await session.changed()
    return None


COMMAND = Command(b"IDLE", LOGGED_IN, parse_nothing, run, capabilities=(b"IDLE",))
