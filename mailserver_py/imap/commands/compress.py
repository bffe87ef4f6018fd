"""COMPRESS: RFC 4978. After login only, so that strangers cannot make us keep windows and inflate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..cursor import Cursor
from ..replies import Reply, bad, ok
from .shape import LOGGED_IN, Command, Updates

if TYPE_CHECKING:
    from ..session import Session

MECHANISM = b"DEFLATE"


def parse(cursor: Cursor) -> None:
    """The mechanism's name."""
    cursor.space()
    if cursor.word() != MECHANISM:
        raise bad(b"There is no such compression")
    cursor.end()


async def run(session: Session, request: None) -> Reply | None:
    """The OK goes out as it is, everything behind it compressed (§3)."""
    if session.compressed:
        raise bad(b"Compression is active already")
    await session.send(ok(b"DEFLATE active").serialize(session.tag))
    session.compress()
    return None


COMMAND = Command(
    b"COMPRESS", LOGGED_IN, parse, run, capabilities=(b"COMPRESS=DEFLATE",), updates=Updates.NONE
)
