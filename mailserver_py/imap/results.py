"""What SEARCH and its kin return: RFC 9051 §6.4.4 (ESEARCH), ESORT and contexts (RFC 5267), PARTIAL (RFC 9394).

Results are positions in the requested order: mailbox order, or that of a SORT.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .cursor import Cursor
from .replies import bad
from .sequence import MAX_NUMBER, serialize_numbers
from .strings import NIL, serialize_string


@dataclass(frozen=True, slots=True)
class Range:
    """A part of the results: `1:500`, or `-1:-100` from the end (RFC 9394 §3.1)."""

    start: int
    end: int
    from_end: bool

    def slice(self, results: Sequence[int]) -> Sequence[int]:
        """Those of the results that are in the part, in their order."""
        if not self.from_end:
            return results[self.start - 1 : self.end]
        return results[max(0, len(results) - self.end) : max(0, len(results) - self.start + 1)]

    def serialize(self) -> bytes:
        """The wire form."""
        return b"-%d:-%d" % (self.start, self.end) if self.from_end else b"%d:%d" % (self.start, self.end)


def parse_range(cursor: Cursor) -> Range:
    """`partial-range`; the ends may come in either order."""
    ends = []
    from_end = cursor.peek() == b"-"
    for separator in (b"", b":"):
        if separator:
            cursor.expect(separator)
        if from_end:
            cursor.expect(b"-")
        ends.append(cursor.number(MAX_NUMBER))
    if not all(ends):
        raise bad(b"Results are counted from one")
    return Range(min(ends), max(ends), from_end)


OPTIONS: dict[bytes, Callable[[Sequence[int]], bytes]] = {
    b"MIN": lambda numbers: b" MIN %d" % numbers[0] if numbers else b"",
    b"MAX": lambda numbers: b" MAX %d" % numbers[-1] if numbers else b"",
    b"ALL": lambda numbers: b" ALL " + serialize_numbers(numbers) if numbers else b"",
    b"COUNT": lambda numbers: b" COUNT %d" % len(numbers),
    b"SAVE": lambda numbers: b"",
    # A hint, which RFC 5267 §4.2 lets a server ignore; and one that `contexts` hears.
    b"CONTEXT": lambda numbers: b"",
    b"UPDATE": lambda numbers: b"",
}
"""What each adds to the ESEARCH response; PARTIAL comes with an argument and is read by itself."""


@dataclass(frozen=True, slots=True)
class Returns:
    """The return options of one command."""

    names: tuple[bytes, ...]
    partial: Range | None = None

    @property
    def saves(self) -> bool:
        """The result is kept as `$`."""
        return b"SAVE" in self.names

    @property
    def updates(self) -> bool:
        """Changes of the result are wanted (RFC 5267 §4.3)."""
        return b"UPDATE" in self.names

    @property
    def silent(self) -> bool:
        """Nothing is to be answered: RETURN (SAVE) alone."""
        return self.names == (b"SAVE",) and self.partial is None

    def serialize(self, numbers: Sequence[int]) -> bytes:
        """The return data, each with a space before it."""
        data = b"".join(option(numbers) for name, option in OPTIONS.items() if name in self.names)
        if self.partial is not None:
            part = serialize_numbers(self.partial.slice(numbers)) or NIL
            data += b" PARTIAL (%b %b)" % (self.partial.serialize(), part)
        return data

    def shown(self, positions: Sequence[int]) -> Sequence[int]:
        """The messages that SAVE keeps (RFC 9051 §6.4.4.1, table 4; RFC 9394 §3.2, table 1) and MODSEQ speaks of (RFC
        7162 §3.1.5): with MIN, MAX or PARTIAL alone those, else all."""
        if not positions or b"ALL" in self.names or b"COUNT" in self.names:
            return positions
        ends = {b"MIN": positions[0], b"MAX": positions[-1]}
        kept = [at for name, at in ends.items() if name in self.names]
        if self.partial is not None:
            return [*kept, *self.partial.slice(positions)]
        return kept or positions


DEFAULT = Returns((b"ALL",))


def parse_returns(cursor: Cursor) -> Returns | None:
    """`RETURN (…) ` with its space, if it is next; an empty list means ALL."""
    if cursor.data[cursor.position : cursor.position + 7].upper() != b"RETURN ":
        return None
    cursor.position += 7
    names: dict[bytes, None] = {}
    partials: list[Range] = []

    def option() -> None:
        name = cursor.word()
        if name == b"PARTIAL":
            cursor.space()
            partials.append(parse_range(cursor))
        elif name in OPTIONS:
            names[name] = None
        else:
            raise bad(b"There is no such SEARCH return option")

    cursor.items(option)
    cursor.space()
    if len(partials) + (b"ALL" in names) > 1:
        raise bad(b"PARTIAL and ALL exclude each other")
    if not names and not partials:
        return DEFAULT
    return Returns(tuple(names), partials[0] if partials else None)


def serialize_esearch(tag: bytes, data: bytes, *, uid: bool, correlators: bytes = b"") -> bytes:
    """The ESEARCH response (RFC 9051 §7.3.4)."""
    return b"* ESEARCH (TAG %b%b)%b%b\r\n" % (
        serialize_string(tag),
        correlators,
        b" UID" if uid else b"",
        data,
    )
