"""STATUS: RFC 9051 §6.3.11; the items are `imap.status_items`'."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..cursor import Cursor
from ..replies import Reply, ok
from ..status_items import StatusItem, look_around, parse_status_items, serialize_status
from .shape import LOGGED_IN, Command

if TYPE_CHECKING:
    from ..session import Session


@dataclass(frozen=True, slots=True)
class Status:
    """A mailbox and what is asked of it."""

    mailbox: str
    items: tuple[StatusItem, ...]


def parse(cursor: Cursor) -> Status:
    """The name and the list of items."""
    cursor.space()
    mailbox = cursor.mailbox()
    cursor.space()
    items = parse_status_items(cursor)
    cursor.end()
    return Status(mailbox, items)


async def run(session: Session, request: Status) -> Reply:
    """One untagged STATUS."""
    mailbox = await session.owner().mailbox(request.mailbox)
    for item in request.items:
        if item.enables:
            await session.enable(item.enables)
    around = await look_around(session.owner(), mailbox, request.items, session.message_bytes)
    await session.send(serialize_status(mailbox, request.items, around, utf8=session.utf8))
    return ok(b"STATUS completed")


COMMAND = Command(b"STATUS", LOGGED_IN, parse, run)
