"""REPLACE: RFC 8508. A letter takes the place of another one, in one commit; its octets stream in like APPEND's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...mailstore.values import MessageGone, NoSuchMailbox, OverQuota
from ..catenate import bring_up, ends_with_url
from ..cursor import Cursor
from ..replies import Refused, Reply, bad, no, ok, refusal_of, try_create
from ..sequence import MAX_NUMBER, STAR, SequenceSet
from .append import Letter, append_uid, parse_letter, received
from .shape import Command, State

if TYPE_CHECKING:
    from ..session import Session


@dataclass(frozen=True, slots=True)
class Replace:
    """Which message is replaced, where the new one goes, and what is said of it."""

    message: SequenceSet
    target: str
    letter: Letter
    uid: bool


def _message(cursor: Cursor) -> SequenceSet:
    cursor.space()
    if cursor.skip(b"*"):
        return SequenceSet(((STAR, STAR),))
    number = cursor.number(MAX_NUMBER)
    if not number:
        raise bad(b"Expected one message")
    return SequenceSet(((number, number),))


def parse(cursor: Cursor, *, prefix: bool = False) -> Replace:
    """`message mailbox [flags] [date] literal`, also CATENATE (§4.2)."""
    message = _message(cursor)
    cursor.space()
    target = cursor.mailbox()
    letter = parse_letter(cursor, prefix=prefix)
    cursor.end()
    return Replace(message, target, letter, cursor.uid)


def streams(cursor: Cursor) -> bool:
    """As APPEND's; the message comes first, and a mistake in it is `admit`'s to refuse."""
    try:
        _message(cursor)
        cursor.space()
    except Refused:
        return True
    try:
        cursor.astring()
    except Refused:
        return False
    return not ends_with_url(cursor.data, cursor.position)


def _pick(session: Session, request: Replace) -> int:
    """The UID of the message. Raises Refused."""
    box = session.box()
    if box.read_only:
        raise no(b"The mailbox is read-only", b"CANNOT")
    picked = box.pick(request.message, uid=request.uid)
    if not picked:
        raise no(b"There is no such message", b"NONEXISTENT")
    return box.uids[picked[0]]


async def admit(session: Session, cursor: Cursor) -> None:
    """Before the octets come: are both there, and is there room for the difference (§3.4)?"""
    request = parse(cursor, prefix=True)
    uid = _pick(session, request)
    box, account = session.box(), session.owner()
    try:
        await account.mailbox(request.target)
    except NoSuchMailbox as error:
        raise try_create(error) from None
    usage = await account.usage()
    more_bytes = request.letter.size_bytes - box.sizes[box.index(uid)]
    if usage.quota_bytes and usage.size_bytes + more_bytes > usage.quota_bytes:
        raise Refused(refusal_of(OverQuota()))
    await bring_up(session, [request.letter.parts], final=False)


async def run(session: Session, request: Replace) -> Reply:
    """APPENDUID goes out untagged, before EXISTS and EXPUNGE (§4.3)."""
    box = session.box()
    uid = _pick(session, request)
    (message,) = await received(session, (request.letter,))
    try:
        appended = await box.account.replace(box.mailbox.mailbox_id, uid, request.target, message)
    except NoSuchMailbox as error:
        raise try_create(error) from None
    except MessageGone as error:
        raise Refused(refusal_of(error)) from None
    await session.send(ok(b"The new message is there", append_uid(appended)).serialize(b"*"))
    box.expunged([uid])
    await session.tell(expunges=True)  # only then does the client know all up to that MODSEQ
    return ok(b"REPLACE completed", b"HIGHESTMODSEQ %d" % box.modseq if box.resyncing else b"")


COMMAND = Command(
    b"REPLACE",
    State.SELECTED,
    parse,
    run,
    capabilities=(b"REPLACE",),
    uid_form=True,
    numbered=True,
    streams=streams,
    admit=admit,
)
