"""Sort criteria: RFC 5256 §3, base subjects §2.1, SORT=DISPLAY: RFC 5957. One row each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .collation import casemap
from .cursor import Cursor
from .envelope import parse_envelope
from .program import DIGEST_MESSAGES
from .replies import bad
from .selected import Selected

CRITERIA_MAX_COUNT = 20
"""Twice as many as there are; each costs a pass over the messages."""

_TRAILER = re.compile(r"(?:\s|\(fwd\))\Z", re.IGNORECASE)
_LEADER = re.compile(r"\s|(?:\[[^\[\]]*\]\s*)*(?:re|fwd?)\s*(?:\[[^\[\]]*\]\s*)?:", re.IGNORECASE)
_BLOB = re.compile(r"\[[^\[\]]*\]\s*")
_SPACES = re.compile(r"\s+")

Row = Mapping[str, object]
"""The digest columns of one message."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """What messages are compared by."""

    name: bytes
    key: Callable[[Selected, int, Row], int | str]
    columns: tuple[str, ...] = ()


def base_subject(subject: str) -> str:
    """RFC 5256 §2.1."""
    return reduce_subject(subject)[0]


def reduce_subject(subject: str) -> tuple[str, bool]:
    """The base subject, by RFC 5256 §2.1's numbered steps, and whether it was an answer's or a forwarded letter's."""
    text = _SPACES.sub(" ", subject)
    answer = False
    while True:
        while match := _TRAILER.search(text):  # (2)
            answer = answer or not match[0].isspace()
            text = text[: match.start()]
        while True:
            before = text
            while match := _LEADER.match(text):  # (3)
                answer = answer or not match[0].isspace()
                text = text[match.end() :]
            if (match := _BLOB.match(text)) and match.end() < len(text):  # (4)
                text = text[match.end() :]
            if text == before:  # (5)
                break
        if text[:5].lower() == "[fwd:" and text.endswith("]"):  # (6)
            text = text[5:-1]
            answer = True
            continue
        return text, answer


def _address(name: str) -> Callable[[Selected, int, Row], int | str]:
    def key(box: Selected, at: int, row: Row) -> str:
        envelope = row["envelope"]
        assert isinstance(envelope, bytes)
        return parse_envelope(envelope).first_mailbox(name)

    return key


def _display(name: str) -> Callable[[Selected, int, Row], int | str]:
    def key(box: Selected, at: int, row: Row) -> str:
        envelope = row["envelope"]
        assert isinstance(envelope, bytes)
        return parse_envelope(envelope).first_display(name)

    return key


def _date(box: Selected, at: int, row: Row) -> int:
    """RFC 5256 §2.2: without a Date field, the internal date."""
    sent_at_s = row["sent_at_s"]
    assert isinstance(sent_at_s, int)
    return sent_at_s or box.received[at]


CRITERIA: tuple[Criterion, ...] = (
    Criterion(b"ARRIVAL", lambda box, at, row: box.received[at]),
    Criterion(b"CC", _address("cc"), ("envelope",)),
    Criterion(b"DATE", _date, ("sent_at_s",)),
    Criterion(b"DISPLAYFROM", _display("from"), ("envelope",)),
    Criterion(b"DISPLAYTO", _display("to"), ("envelope",)),
    Criterion(b"FROM", _address("from"), ("envelope",)),
    Criterion(b"SIZE", lambda box, at, row: box.sizes[at]),
    Criterion(b"SUBJECT", lambda box, at, row: casemap(base_subject(str(row["subject"]))), ("subject",)),
    Criterion(b"TO", _address("to"), ("envelope",)),
)

_BY_NAME = {criterion.name: criterion for criterion in CRITERIA}


@dataclass(frozen=True, slots=True)
class Order:
    """One criterion of a command and its direction."""

    criterion: Criterion
    reverse: bool


def parse_order(cursor: Cursor) -> tuple[Order, ...]:
    """`(REVERSE DATE SUBJECT)`."""

    def one() -> Order:
        name = cursor.word()
        reverse = name == b"REVERSE"
        if reverse:
            cursor.space()
            name = cursor.word()
        criterion = _BY_NAME.get(name)
        if criterion is None:
            raise bad(b"There is no such sort criterion")
        return Order(criterion, reverse)

    orders = cursor.items(one, empty=False)
    if len(orders) > CRITERIA_MAX_COUNT:
        raise bad(b"Too many sort criteria")
    return tuple(orders)


async def sort(box: Selected, positions: Sequence[int], orders: Sequence[Order]) -> list[int]:
    """Positions in the order asked for; sequence numbers decide between equals (RFC 5256 §3)."""
    columns = tuple(dict.fromkeys(column for order in orders for column in order.criterion.columns))
    keys: dict[int, list[Any]] = {}
    for at, row in (await read_rows(box, positions, columns)).items():
        keys[at] = [order.criterion.key(box, at, row) for order in orders]
    ordered = sorted(keys)
    for number in reversed(range(len(orders))):
        # Stable, the least important criterion first; `reverse` keeps equals in their order, too.
        ordered.sort(key=lambda at: keys[at][number], reverse=orders[number].reverse)
    return ordered


async def read_rows(box: Selected, positions: Sequence[int], columns: Sequence[str]) -> dict[int, Row]:
    """Digest columns by position; messages that vanished are missing."""
    if not columns:
        return {at: {} for at in positions}
    found: dict[int, Row] = {}
    for start in range(0, len(positions), DIGEST_MESSAGES):
        uids = [box.uids[at] for at in positions[start : start + DIGEST_MESSAGES]]
        for uid, *values in await box.account.digests(box.mailbox.mailbox_id, uids, columns):
            assert isinstance(uid, int)
            found[box.index(uid)] = dict(zip(columns, values, strict=True))
    return found
