"""ID: RFC 2971. We say our name, and no version: that would help nobody but attackers (RFC 2971 §4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..cursor import Cursor
from ..replies import Reply, bad, ok
from .shape import ANY, Command, Updates

if TYPE_CHECKING:
    from ..session import Session

FIELDS_MAX_COUNT = 30
"""RFC 2971 §3.3."""


def parse(cursor: Cursor) -> None:
    """`NIL` or a list of fields and values; what clients say of themselves is read and forgotten."""
    cursor.space()
    if cursor.peek() != b"(":
        if cursor.word() != b"NIL":
            raise bad(b"Expected NIL or a list")
    elif len(cursor.items(lambda: _nstring(cursor))) > 2 * FIELDS_MAX_COUNT:
        raise bad(b"Too many fields")
    cursor.end()


def _nstring(cursor: Cursor) -> bytes | None:
    if cursor.peek() in {b'"', b"{"}:
        return cursor.string()
    if cursor.word() != b"NIL":
        raise bad(b"Expected a string or NIL")
    return None


async def run(session: Session, request: None) -> Reply:
    """Names the program."""
    await session.send(b'* ID ("name" "mailserver_py")\r\n')
    return ok(b"ID completed")


COMMAND = Command(b"ID", ANY, parse, run, capabilities=(b"ID",), updates=Updates.NONE)
