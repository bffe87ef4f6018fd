"""Sequence sets: RFC 9051 §9 `sequence-set`, `uid-set`, and the `$` of §6.4.4.1.

A set is kept as ranges and never expanded: `1:4294967295` costs as much as `1`. It becomes numbers only by meeting
the numbers that exist.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

STAR = 1 << 32
"""`*`, the largest number in use: beyond every real one, so that it sorts last."""

MAX_NUMBER = (1 << 32) - 1

_RANGE = re.compile(rb"([1-9][0-9]{0,9}|\*)(?::([1-9][0-9]{0,9}|\*))?")


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """Ranges as they were written; both ends belong to them, in either order."""

    ranges: tuple[tuple[int, int], ...]
    saved: bool = False
    """True for `$`, the result of the last SEARCH with SAVE; then there are no ranges."""

    def serialize(self) -> bytes:
        """The wire form."""
        if self.saved:
            return b"$"
        return b",".join(
            _number(low) if low == high else _number(low) + b":" + _number(high) for low, high in self.ranges
        )

    def resolve(self, largest: int) -> list[tuple[int, int]]:
        """Ascending, merged ranges, `*` being `largest`."""
        merged: list[tuple[int, int]] = []
        for low, high in sorted(
            tuple(
                sorted((min(one, largest) if one == STAR else one, min(two, largest) if two == STAR else two))
            )
            for one, two in self.ranges
        ):
            if merged and low <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(merged[-1][1], high))
            else:
                merged.append((low, high))
        return merged


SAVED = SequenceSet((), saved=True)


def _number(value: int) -> bytes:
    return b"*" if value == STAR else b"%d" % value


def parse_sequence_set(data: bytes, position: int = 0) -> tuple[SequenceSet, int] | None:
    """The set that starts at `position`, and where it ends; None when there is none."""
    if data[position : position + 1] == b"$":
        return SAVED, position + 1
    ranges: list[tuple[int, int]] = []
    while True:
        match = _RANGE.match(data, position)
        if match is None:
            return None
        ends = [STAR if end == b"*" else int(end) for end in match.groups() if end is not None]
        if any(end > MAX_NUMBER and raw != b"*" for end, raw in zip(ends, match.groups(), strict=False)):
            return None
        ranges.append((ends[0], ends[-1]))
        position = match.end()
        if data[position : position + 1] != b",":
            return SequenceSet(tuple(ranges)), position
        position += 1


def serialize_numbers(numbers: Iterable[int]) -> bytes:
    """`1:3,5` from numbers, in their order; only ascending runs become ranges."""
    pieces: list[bytes] = []
    first = last = 0
    for number in numbers:
        if first and number == last + 1:
            last = number
            continue
        if first:
            pieces.append(b"%d" % first if first == last else b"%d:%d" % (first, last))
        first = last = number
    if first:
        pieces.append(b"%d" % first if first == last else b"%d:%d" % (first, last))
    return b",".join(pieces)
