"""SUBSCRIBE and UNSUBSCRIBE: RFC 9051 §6.3.7, §6.3.8. A name may be subscribed that does not exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..cursor import Cursor
from ..replies import Reply, ok
from .shape import LOGGED_IN, Command

if TYPE_CHECKING:
    from ..session import Session


def parse_name(cursor: Cursor) -> str:
    """One mailbox name."""
    cursor.space()
    name = cursor.mailbox()
    cursor.end()
    return name


async def _subscribe(session: Session, name: str) -> Reply:
    await session.owner().subscribe(name, True)
    return ok(b"SUBSCRIBE completed")


async def _unsubscribe(session: Session, name: str) -> Reply:
    await session.owner().subscribe(name, False)
    return ok(b"UNSUBSCRIBE completed")


SUBSCRIBE = Command(b"SUBSCRIBE", LOGGED_IN, parse_name, _subscribe)
UNSUBSCRIBE = Command(b"UNSUBSCRIBE", LOGGED_IN, parse_name, _unsubscribe)
