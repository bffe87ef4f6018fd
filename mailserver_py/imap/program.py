"""SEARCH programs: RFC 9051 §6.4.4, as a tree of tests that is evaluated in three steps, the cheap knowledge first.

A test says what it needs: what the session already has (flags, sizes, dates), the digest, or the whole letter. A
message is decided as early as its tree allows: `UNSEEN TEXT x` reads the letters of unseen messages only.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import IntEnum

from ..message.date import parse_date
from .envelope import Envelope, parse_envelope
from .selected import Selected

DIGEST_MESSAGES = 2000
"""Rows asked of the store at once: a few megabytes."""


class Needs(IntEnum):
    """What a test has to know."""

    VIEW = 0
    DIGEST = 1
    LETTER = 2


_WORD = re.compile(rb"[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A text to be found, as texts are compared."""

    text: str
    words: tuple[bytes, ...] | None
    """Its pieces, each of which must stand somewhere in an envelope that matches; None: it is not ASCII."""


def wanted_text(text: str) -> Wanted:
    """Prepares a text that `casemap` made."""
    return Wanted(text, tuple(_WORD.findall(text.lower().encode())) if text.isascii() else None)


@dataclass(slots=True)
class Facts:
    """What is known of one message so far."""

    box: Selected
    at: int
    envelope: bytes = b""
    subject: str = ""
    saved_at_s: int = 0
    letter: bytes = b""
    _parsed: Envelope | None = field(default=None)

    def _envelope(self) -> Envelope:
        if self._parsed is None:
            self._parsed = parse_envelope(self.envelope)
        return self._parsed

    def mentions(self, name: str, wanted: Wanted) -> bool:
        """Whether FROM, TO, CC or BCC contains a text."""
        envelope = self.envelope
        if envelope.isascii() and b"=?" not in envelope:
            # Nothing is encoded, so what is not there at all need not be looked for more closely.
            lowered = envelope.lower()
            if wanted.words is None or not all(word in lowered for word in wanted.words):
                return False
        return wanted.text in self._envelope().text(name)

    def sent_on(self) -> date | None:
        """The day that the Date field names, in its own zone (RFC 9051 §6.4.4: time and timezone disregarded)."""
        raw = self._envelope().date
        at = parse_date(raw) if raw else None
        return at.date() if at else None


@dataclass(frozen=True, slots=True)
class Test:
    """One key with its arguments."""

    needs: Needs
    holds: Callable[[Facts], bool]
    columns: tuple[str, ...] = ()
    """What it reads of the digest; names of `Facts`, too."""


@dataclass(frozen=True, slots=True)
class All:
    """Every one of them."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One or the other."""

    one: Node
    two: Node


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    node: Node


Node = Test | All | Either | Not


def evaluate(node: Node, facts: Facts, known: Needs) -> bool | None:
    """Whether the message matches; None when that cannot be said from what is known."""
    if isinstance(node, Test):
        return node.holds(facts) if node.needs <= known else None
    if isinstance(node, All):
        result: bool | None = True
        for part in node.nodes:
            one = evaluate(part, facts, known)
            if one is False:
                return False
            if one is None:
                result = None
        return result
    if isinstance(node, Either):
        one, two = evaluate(node.one, facts, known), evaluate(node.two, facts, known)
        if one or two:
            return True
        return None if one is None or two is None else False
    inner = evaluate(node.node, facts, known)
    return None if inner is None else not inner


def _divide(node: Node, facts: Sequence[Facts], known: Needs, matching: list[int]) -> list[Facts]:
    """Adds the decided to `matching`; the undecided come back."""
    undecided: list[Facts] = []
    for one in facts:
        result = evaluate(node, one, known)
        if result:
            matching.append(one.at)
        elif result is None:
            undecided.append(one)
    return undecided


Progress = Callable[[int, int], Awaitable[None]]
"""Is told how many of how many messages were looked at, every now and then."""


async def search(
    box: Selected,
    node: Node,
    positions: Iterable[int] | None = None,
    progress: Progress | None = None,
) -> list[int]:
    """Positions of the messages that match, ascending, among those given or all; what vanished does not match."""
    matching: list[int] = []
    asked = range(box.count) if positions is None else positions
    everything = [Facts(box, at) for at in asked if not (box.has_gone and box.is_gone(at))]
    undecided = _divide(node, everything, Needs.VIEW, matching)
    columns = _columns(node)
    for start in range(0, len(undecided), DIGEST_MESSAGES):
        chunk = await _with_digests(box, undecided[start : start + DIGEST_MESSAGES], columns)
        chunk = _divide(node, chunk, Needs.DIGEST, matching)
        done_count = start
        async for letters in _with_letters(box, chunk):
            _divide(node, letters, Needs.LETTER, matching)
            done_count += len(letters)
            if progress is not None:
                await progress(done_count, len(undecided))
    return sorted(matching)


def _columns(node: Node) -> tuple[str, ...]:
    """The digest columns that any test of the tree reads."""
    found: dict[str, None] = {}
    waiting = [node]
    while waiting:
        match waiting.pop():
            case Test(columns=columns):
                found.update(dict.fromkeys(columns))
            case All(nodes):
                waiting.extend(nodes)
            case Either(one, two):
                waiting += (one, two)
            case Not(inner):
                waiting.append(inner)
    return tuple(found)


async def _with_digests(box: Selected, facts: Sequence[Facts], columns: tuple[str, ...]) -> Sequence[Facts]:
    if not columns:
        return facts
    uids = [box.uids[one.at] for one in facts]
    by_uid = dict(zip(uids, facts, strict=True))
    found: list[Facts] = []
    for uid, *values in await box.account.digests(box.mailbox.mailbox_id, uids, columns):
        assert isinstance(uid, int)
        one = by_uid[uid]
        for column, value in zip(columns, values, strict=True):
            setattr(one, column, value)
        found.append(one)
    return found


async def _with_letters(box: Selected, facts: Sequence[Facts]) -> AsyncIterator[list[Facts]]:
    if not facts:
        return
    uids = [box.uids[one.at] for one in facts]
    by_uid = dict(zip(uids, facts, strict=True))
    async for chunk in box.account.letters(box.mailbox.mailbox_id, uids):
        found: list[Facts] = []
        for uid, letter in chunk:
            if letter is not None:
                one = by_uid[uid]
                one.letter = letter
                found.append(one)
        yield found
        for one in found:
            one.letter = b""
