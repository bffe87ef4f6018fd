"""CATENATE: RFC 4469. A letter made of texts that stream in and of parts that are in the store already.

Texts arrive while the command is read, so the parts before a text are written right before it, and those behind the
last one when the command is run. Nothing is kept in memory but one part.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .cursor import Cursor
from .replies import bad, no
from .urls import fetch_url, parse_url

if TYPE_CHECKING:
    from .session import Session

PARTS_MAX_COUNT = 1000
"""In one command; each URL costs a look into the store."""

_URL_LITERAL = re.compile(rb"[( ]URL \{[0-9]{1,19}\+?\}\r\n\Z", re.IGNORECASE)
_UNSPEAKABLE = re.compile(rb"[^\x20-\x5b\x5e-\x7e]")

Part = bytes | int
"""A URL, or the size of a text."""


def parse_parts(cursor: Cursor, *, prefix: bool) -> tuple[Part, ...]:
    """`(TEXT literal URL url …)`; a `prefix` may end behind the announcement of a text."""
    parts: list[Part] = []
    cursor.expect(b"(")
    while True:
        kind = cursor.word()
        cursor.space()
        if kind == b"TEXT":
            parts.append(cursor.streamed_literal()[0])
            if prefix and cursor.at_end():
                break
        elif kind == b"URL":
            parts.append(cursor.astring())
        else:
            raise bad(b"Expected TEXT or URL")
        if len(parts) > PARTS_MAX_COUNT:
            raise bad(b"Too many parts")
        if cursor.skip(b")"):
            break
        cursor.space()
    return tuple(parts)


def ends_with_url(data: bytes, start: int) -> bool:
    """Whether the literal announced at the end is a URL's."""
    return _URL_LITERAL.search(data, start) is not None


async def bring_up(session: Session, letters: Sequence[tuple[Part, ...] | None], *, final: bool) -> None:
    """Writes all that can be written now of the letters so far; None stands for a letter that is one literal. The text
    announced at the end of what is not `final` will stream in next. Raises Refused."""
    upload = session.upload
    for index, parts in enumerate(letters):
        if parts is None or index < len(upload.letters):
            continue
        if not upload.catenating:
            upload.begin_catenation(session.door.stage())
        last = index == len(letters) - 1
        for part in parts[upload.parts_count : None if final or not last else len(parts) - 1]:
            if isinstance(part, bytes):
                await upload.add(await _fetch(session, part))
            if upload.catenated_bytes > session.message_bytes:
                raise no(b"The letter is larger than %d octets" % session.message_bytes, b"TOOBIG")
            upload.parts_count += isinstance(part, bytes)
        if final or not last:
            await upload.complete()


async def _fetch(session: Session, raw: bytes) -> bytes:
    url = parse_url(raw)
    selected = session.selected.mailbox if session.selected is not None else None
    data = await fetch_url(session.owner(), url, selected) if url is not None else None
    if data is None:
        raise no(b"The URL leads nowhere", b"BADURL " + _UNSPEAKABLE.sub(b"?", raw))
    return data
