"""APPEND: RFC 9051 §6.3.12; several letters (RFC 3502), literal8 (RFC 3516 §4.4), UTF8 (RFC 6855 §4), APPENDUID.

The letters' octets never come here: the session streams them into the store while the command is read, and `run` finds
them staged, in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...mailstore.values import Appended, NewMessage, NoSuchMailbox, OverQuota
from ..catenate import Part, bring_up, ends_with_url, parse_parts
from ..cursor import Cursor
from ..flags import FlagList
from ..listing import serialize_old_name
from ..replies import Refused, Reply, no, ok, refusal_of, try_create
from ..sequence import serialize_numbers
from .shape import LOGGED_IN, Command

if TYPE_CHECKING:
    from ..session import Session

LETTERS_MAX_COUNT = 100
"""Letters in one command; each holds a place in the store until the end."""


@dataclass(frozen=True, slots=True)
class Letter:
    """What is said of one letter."""

    flags: FlagList
    received_at_s: int | None
    size_bytes: int
    """Of the octets that come with the command."""
    parts: tuple[Part, ...] | None = None
    """Not None: it is made of these (RFC 4469)."""


@dataclass(frozen=True, slots=True)
class Append:
    """The mailbox and its new letters."""

    mailbox: str
    letters: tuple[Letter, ...]
    old_name: str = ""
    """The mailbox's name as it was written, when that is not its normal form."""


def parse_letter(cursor: Cursor, *, prefix: bool = False) -> Letter:
    """`SP [flags SP] [date SP] literal`, also `UTF8 (literal8)` and `CATENATE (parts)`. A `prefix` is the command up to
    a literal that is a letter's."""
    cursor.space()
    flags, received_at_s = FlagList(), None
    if cursor.peek() == b"(":
        flags = cursor.flag_list()
        cursor.space()
    if cursor.peek() == b'"':
        received_at_s = cursor.date_time()
        cursor.space()
    if cursor.data[cursor.position : cursor.position + 9].upper() == b"CATENATE ":
        cursor.position += 9
        parts = parse_parts(cursor, prefix=prefix)
        return Letter(flags, received_at_s, sum(part for part in parts if isinstance(part, int)), parts)
    wrapped = cursor.data[cursor.position : cursor.position + 6].upper() == b"UTF8 ("
    if wrapped:
        cursor.position += 6
    size_bytes, _ = cursor.streamed_literal()
    if wrapped and not (prefix and cursor.at_end()):
        cursor.expect(b")")
    return Letter(flags, received_at_s, size_bytes)


def _mailbox(cursor: Cursor) -> str:
    cursor.space()
    return cursor.mailbox()


def parse(cursor: Cursor, *, prefix: bool = False) -> Append:
    """The whole command; its literals are announcements without octets."""
    mailbox = _mailbox(cursor)
    letters = [parse_letter(cursor, prefix=prefix)]
    while not cursor.at_end():
        # Deviation: one space more than the grammar of RFC 3502 has is let pass: IMAPClient puts it between letters.
        if cursor.data.startswith(b"  ", cursor.position):
            cursor.space()
        letters.append(parse_letter(cursor, prefix=prefix))
    return Append(mailbox, tuple(letters), cursor.old_name)


def streams(cursor: Cursor) -> bool:
    """Whether the literal announced at the end is a letter: only the mailbox's name and a URL can be other ones.

    A mistake elsewhere counts as a letter, too: then `check_target` refuses it before its octets come.
    """
    try:
        cursor.space()
        cursor.astring()
    except Refused:
        return False
    return not ends_with_url(cursor.data, cursor.position)


async def admit(session: Session, cursor: Cursor) -> None:
    """Before the octets come: is there such a mailbox, and are there not too many letters (RFC 9051 §6.3.12)?"""
    request = parse(cursor, prefix=True)
    if len(request.letters) > LETTERS_MAX_COUNT:
        raise no(b"Too many letters in one command", b"LIMIT")
    if sum(letter.size_bytes for letter in request.letters) > session.append_bytes:
        raise no(b"The letters are too large together", b"TOOBIG")
    await check_room(session, request.mailbox, sum(letter.size_bytes for letter in request.letters))
    await bring_up(session, [letter.parts for letter in request.letters], final=False)


async def check_room(session: Session, mailbox: str, size_bytes: int) -> None:
    """Is there such a mailbox, and room in the account? Raises Refused."""
    account = session.owner()
    try:
        await account.mailbox(mailbox)
    except NoSuchMailbox as error:
        raise try_create(error) from None
    usage = await account.usage()
    if usage.quota_bytes and usage.size_bytes + size_bytes > usage.quota_bytes:
        raise Refused(refusal_of(OverQuota()))


async def received(session: Session, letters: Sequence[Letter]) -> list[NewMessage]:
    """The letters, staged while it was read; INTERNALDATE is now when none was given. Raises Refused."""
    if session.upload.refusal is not None:
        raise Refused(session.upload.refusal)
    await bring_up(session, [letter.parts for letter in letters], final=True)
    if any(not staged.size_bytes for staged in session.upload.letters):
        # RFC 3502 §6.3.11: a literal of no octets takes the letter back.
        raise no(b"A letter without octets is none")
    now_s = session.door.now_s()
    return [
        NewMessage(
            staged,
            now_s if letter.received_at_s is None else letter.received_at_s,
            letter.flags.bits,
            " ".join(sorted(letter.flags.keywords)),
        )
        for staged, letter in zip(session.upload.letters, letters, strict=True)
    ]


async def run(session: Session, request: Append) -> Reply:
    """All of the letters or none."""
    messages = await received(session, request.letters)
    try:
        appended = await session.owner().append(request.mailbox, messages)
    except NoSuchMailbox as error:
        raise try_create(error) from None
    await session.send(serialize_old_name(request.mailbox, request.old_name, utf8=session.utf8))
    return ok(b"APPEND completed", append_uid(appended))


def append_uid(appended: Appended) -> bytes:
    """The response code (RFC 4315 §3)."""
    return b"APPENDUID %d %b" % (appended.uid_validity, serialize_numbers(appended.uids))


COMMAND = Command(
    b"APPEND",
    LOGGED_IN,
    parse,
    run,
    capabilities=(b"MULTIAPPEND", b"BINARY", b"CATENATE", b"URL-PARTIAL"),
    streams=streams,
    admit=admit,
)
