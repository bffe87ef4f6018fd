"""CANCELUPDATE: RFC 5267 §4.3.5. Ends the updates of searches, named by their tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..cursor import Cursor
from ..replies import Reply, bad, ok
from .shape import Command, State

if TYPE_CHECKING:
    from ..session import Session


def parse(cursor: Cursor) -> tuple[bytes, ...]:
    """One tag or more, quoted."""
    tags: list[bytes] = []
    while not tags or not cursor.at_end():
        cursor.space()
        if cursor.peek() != b'"':
            raise bad(b"Expected a tag in quotes")
        tags.append(cursor.string())
    return tuple(tags)


async def run(session: Session, request: tuple[bytes, ...]) -> Reply:
    """All of them, or none when one is unknown."""
    contexts = session.contexts
    if any(tag not in contexts for tag in request):
        raise bad(b"There is no such update")
    for tag in request:
        contexts.cancel(tag)
    return ok(b"No further updates")


COMMAND = Command(
    b"CANCELUPDATE", State.SELECTED, parse, run, capabilities=(b"CONTEXT=SEARCH", b"CONTEXT=SORT")
)
