"""Whether an announced letter is taken: RFC 9051 §6.3.12, RFC 7888 §4, before its octets come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..mailstore.values import StoreError
from . import commands
from .reader import MessageAsked, Reader
from .replies import Refused, Reply, bad, refusal_of

if TYPE_CHECKING:
    from .session import Session

DISCARD_FACTOR = 2
"""A letter too large that comes without waiting is read and thrown away up to so many times the limit, so that the
client gets its NO; a larger one ends the connection (RFC 7888 §4)."""


async def ask(session: Session, reader: Reader, event: MessageAsked) -> None:
    """Takes the letter or refuses it, and tells the reader and the client so."""
    refusal = await _refuse(session, event)
    if refusal is None:
        if session.upload.catenating:
            session.upload.expect_text()
        else:
            session.upload.begin(session.door.stage())
        reader.accept_message()
        if event.waits:
            await session.send(b"+ Go on\r\n")
        return
    await session.upload.forget()
    match = commands.TAG.match(event.prefix)
    await session.refuse(refusal, match[0] if match else b"*")
    if not event.waits and event.size_bytes > DISCARD_FACTOR * session.message_bytes:
        await session.farewell(b"The letter is far too large")
        return
    reader.refuse_message(waits=event.waits)


async def _refuse(session: Session, event: MessageAsked) -> Reply | None:
    """RFC 9051 §6.3.12: better now than after the octets; RFC 7889 §4 TOOBIG."""
    if event.size_bytes > session.message_bytes:
        return Reply(b"NO", b"The letter is larger than %d octets" % session.message_bytes, b"TOOBIG")
    try:
        _, command, cursor = session.find(event.prefix)
        if not command.states & session.state:
            raise bad(b"The command is not allowed in this state")
        if command.numbered and not cursor.uid and b"UIDONLY" in session.enabled:
            raise bad(b"Only UIDs are used here", b"UIDREQUIRED")
        assert command.admit is not None
        await command.admit(session, cursor)
    except Refused as refused:
        return refused.reply
    except StoreError as error:
        return refusal_of(error)
    return None
