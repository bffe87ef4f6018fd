"""APPEND: RFC 9051 §6.3.12; several letters (RFC 3502), literal8 (RFC 3516 §4.4), UTF8 (RFC 6855 §4), APPENDUID.

The letters' octets never come here: the session streams them into the store while the command is read, and `run` finds
them staged, in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...mailstore.values import NewMessage, NoSuchMailbox, OverQuota
from ..cursor import Cursor
from ..flags import FlagList
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


@dataclass(frozen=True, slots=True)
class Append:
    """The mailbox and its new letters."""

    mailbox: str
    letters: tuple[Letter, ...]


def _letter(cursor: Cursor) -> Letter:
    """`SP [flags SP] [date SP] literal`, also `UTF8 (literal8)`."""
    cursor.space()
    flags, received_at_s = FlagList(), None
    if cursor.peek() == b"(":
        flags = cursor.flag_list()
        cursor.space()
    if cursor.peek() == b'"':
        received_at_s = cursor.date_time()
        cursor.space()
    wrapped = cursor.data[cursor.position : cursor.position + 6].upper() == b"UTF8 ("
    if wrapped:
        cursor.position += 6
    size_bytes, _ = cursor.streamed_literal()
    if wrapped and not cursor.at_end():
        cursor.expect(b")")
    return Letter(flags, received_at_s, size_bytes)


def _mailbox(cursor: Cursor) -> str:
    cursor.space()
    return cursor.mailbox()


def parse(cursor: Cursor) -> Append:
    """The whole command; its literals are announcements without octets."""
    mailbox = _mailbox(cursor)
    letters = [_letter(cursor)]
    while not cursor.at_end():
        # Deviation: one space more than the grammar of RFC 3502 has is let pass: IMAPClient puts it between letters.
        if cursor.data.startswith(b"  ", cursor.position):
            cursor.space()
        letters.append(_letter(cursor))
    return Append(mailbox, tuple(letters))


def streams(cursor: Cursor) -> bool:
    """Whether the literal announced at the end is a letter: only the mailbox's name can be another one.

    A mistake elsewhere counts as a letter, too: then `check_target` refuses it before its octets come.
    """
    try:
        cursor.space()
        cursor.astring()
    except Refused:
        return False
    return True


async def check_target(session: Session, prefix: bytes) -> None:
    """Before the octets come: is there such a mailbox, and are there not too many letters (RFC 9051 §6.3.12)?"""
    _, _, cursor = session.find(prefix)
    request = parse(cursor)
    if len(request.letters) > LETTERS_MAX_COUNT:
        raise no(b"Too many letters in one command", b"LIMIT")
    if sum(letter.size_bytes for letter in request.letters) > session.append_bytes:
        raise no(b"The letters are too large together", b"TOOBIG")
    try:
        await session.owner().mailbox(request.mailbox)
    except NoSuchMailbox as error:
        raise try_create(error) from None
    usage = await session.owner().usage()
    size_bytes = sum(letter.size_bytes for letter in request.letters)
    if usage.quota_bytes and usage.size_bytes + size_bytes > usage.quota_bytes:
        raise Refused(refusal_of(OverQuota()))


async def run(session: Session, request: Append) -> Reply:
    """All of the letters or none; INTERNALDATE is now where none was given."""
    if session.upload.refusal is not None:
        raise Refused(session.upload.refusal)
    now_s = session.door.now_s()
    messages = [
        NewMessage(
            staged,
            now_s if letter.received_at_s is None else letter.received_at_s,
            letter.flags.bits,
            " ".join(sorted(letter.flags.keywords)),
        )
        for staged, letter in zip(session.upload.letters, request.letters, strict=True)
    ]
    if any(not letter.size_bytes for letter in request.letters):
        # RFC 3502 §6.3.11: a literal of no octets takes the letter back.
        raise no(b"A letter without octets is none")
    try:
        appended = await session.owner().append(request.mailbox, messages)
    except NoSuchMailbox as error:
        raise try_create(error) from None
    return ok(
        b"APPEND completed", b"APPENDUID %d %b" % (appended.uid_validity, serialize_numbers(appended.uids))
    )


COMMAND = Command(b"APPEND", LOGGED_IN, parse, run, capabilities=(b"MULTIAPPEND", b"BINARY"), streams=streams)
