"""QRESYNC: RFC 7162 §3.2. The parameter of SELECT, and what happened since the client looked last, told by UIDs.

The store remembers every expunge with its MODSEQ, for ever, so the answer is exact without the sequence match data; a
client that sends it is spared what it shows to know already (§3.2.5.2).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .cursor import Cursor
from .replies import bad
from .selected import CHUNK_MESSAGES, Selected
from .sequence import MAX_NUMBER, STAR, SequenceSet, serialize_numbers

EVERYTHING = SequenceSet(((1, MAX_NUMBER),))


@dataclass(frozen=True, slots=True)
class Known:
    """What the client knows of a mailbox."""

    uid_validity: int
    modseq: int
    uids: SequenceSet | None = None
    numbers: SequenceSet | None = None
    """Sequence numbers, ascending, whose UIDs it knows …"""
    matching_uids: SequenceSet | None = None
    """… and those UIDs."""


def parse_known(cursor: Cursor) -> Known:
    """`(uidvalidity modseq [known-uids] [(seqs uids)])`."""
    cursor.expect(b"(")
    uid_validity = cursor.number(MAX_NUMBER)
    cursor.space()
    modseq = cursor.number()
    if not uid_validity or not modseq:
        raise bad(b"UIDVALIDITY and MODSEQ are positive")
    uids = numbers = matching_uids = None
    if cursor.peek() == b" ":
        cursor.space()
        if cursor.peek() != b"(":
            uids = _plain_set(cursor)
            more = cursor.peek() == b" "
            if more:
                cursor.space()
        else:
            more = True
        if more:
            cursor.expect(b"(")
            numbers = _ascending_set(cursor)
            cursor.space()
            matching_uids = _ascending_set(cursor)
            cursor.expect(b")")
            if _count(numbers) != _count(matching_uids):
                raise bad(b"Sequence numbers and UIDs do not match")
    cursor.expect(b")")
    return Known(uid_validity, modseq, uids, numbers, matching_uids)


def _plain_set(cursor: Cursor) -> SequenceSet:
    wanted = cursor.sequence_set()
    if wanted.saved or any(STAR in ends for ends in wanted.ranges):
        raise bad(b"Expected numbers without * and $")
    return wanted


def _ascending_set(cursor: Cursor) -> SequenceSet:
    wanted = _plain_set(cursor)
    last = 0
    for low, high in wanted.ranges:
        if low <= last or high < low:
            raise bad(b"Expected ascending numbers")
        last = high
    return wanted


def _count(numbers: SequenceSet) -> int:
    return sum(high - low + 1 for low, high in numbers.ranges)


def _walk(numbers: SequenceSet) -> Iterator[int]:
    for low, high in numbers.ranges:
        yield from range(low, high + 1)


def known_up_to(box: Selected, known: Known) -> int:
    """The largest UID up to which the client knows every expunge, as its sequence match data shows; 0 for none."""
    floor = 0
    if known.numbers is not None and known.matching_uids is not None:
        for number, uid in zip(_walk(known.numbers), _walk(known.matching_uids), strict=True):
            if number > box.count:
                break
            if box.uids[number - 1] == uid:
                floor = uid
    return floor


def serialize_earlier(uids: Sequence[int]) -> Iterator[bytes]:
    """VANISHED (EARLIER) responses, in bounded chunks; none when nothing vanished."""
    for start in range(0, len(uids), CHUNK_MESSAGES):
        numbers = serialize_numbers(uids[start : start + CHUNK_MESSAGES])
        yield b"* VANISHED (EARLIER) %b\r\n" % numbers


async def catch_up(box: Selected, known: Known) -> list[bytes]:
    """What happened since, behind the responses of SELECT; nothing when UIDs were given anew (§3.2.5)."""
    if known.uid_validity != box.mailbox.uid_validity:
        return []
    wanted = known.uids or EVERYTHING
    floor = known_up_to(box, known)
    gone = [uid for uid in await box.vanished_since(wanted, known.modseq) if uid > floor]
    return [*serialize_earlier(gone), *box.serialize_flags_since(wanted, known.modseq)]
