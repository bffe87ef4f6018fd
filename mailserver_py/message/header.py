"""Header fields of a letter or a body part: RFC 5322 §2.2, with exact offsets, however broken the header is.

The header ends at the first empty line and nowhere else; lines that are no field are kept as fields without a
name, so that a slice of the header loses nothing. mbox's `From ` line in front is such a line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

FIELD_COUNT_LIMIT = 20_000
"""Fields listed of one header. Real letters stay below 200; a field costs some 250 octets of memory, so this
keeps a hostile header below 5 MB. `Header.complete` says when there were more."""

# A name, the colon, the first line, and its continuation lines. Possessive: no octet is looked at twice.
_FIELD = re.compile(rb"(?:([!-9;-~]++)[ \t]*+:)?+([^\n]*+(?:\n[ \t][^\n]*+)*+)\n?+")
_UNFOLD = re.compile(rb"\r?\n")


class Field(NamedTuple):
    """One field as it stands in the letter: `data[start:end]`, its line end included."""

    name: bytes
    """As spelled; empty for a line that is no field."""
    raw_value: bytes
    """Everything behind the colon, folding included, without the last line end."""
    start: int
    end: int

    @property
    def value(self) -> bytes:
        """Unfolded (RFC 5322 §2.2.3) and stripped of white space around it."""
        return unfold(self.raw_value)


@dataclass(frozen=True, slots=True)
class Header:
    """The fields of one header, in order; `data[start:end]`, the empty line included."""

    fields: Sequence[Field]
    start: int
    end: int
    complete: bool = True
    """False when there were more than FIELD_COUNT_LIMIT fields."""
    by_name: Mapping[bytes, Sequence[Field]] = field(default_factory=dict, repr=False, compare=False)
    """Names in lower case."""

    def get(self, name: bytes) -> Field | None:
        """The first field of that name, in any case."""
        found = self.by_name.get(name.lower())
        return found[0] if found else None

    def all(self, name: bytes) -> Sequence[Field]:
        """All fields of that name, in order."""
        return self.by_name.get(name.lower(), ())

    def value(self, name: bytes) -> bytes | None:
        """The unfolded value of the first field of that name."""
        found = self.by_name.get(name.lower())
        return unfold(found[0].raw_value) if found else None


def unfold(raw: bytes) -> bytes:
    """A raw value in one line, without white space around it."""
    return _UNFOLD.sub(b"", raw).strip(b" \t\r") if b"\n" in raw else raw.strip(b" \t\r")


def find_header_end(data: bytes, start: int = 0, end: int | None = None) -> int:
    """The offset behind the empty line that ends the header; `end` when there is none."""
    end = len(data) if end is None else end
    if data.startswith(b"\r\n", start, end):
        return start + 2
    if data.startswith(b"\n", start, end):
        return start + 1
    # Letters from the wire have CRLF; only what comes before that first CRLF pair can be an LF pair.
    crlf = data.find(b"\n\r\n", start, end)
    bare = data.find(b"\n\n", start, end if crlf < 0 else crlf + 1)
    if bare >= 0:
        return bare + 2
    return crlf + 3 if crlf >= 0 else end


def parse_header(data: bytes, start: int = 0, end: int | None = None) -> Header:
    """The header that begins at `start`; `Header.end` is where the body begins. Never raises."""
    return parse_fields(data, start, find_header_end(data, start, end))


def parse_fields(data: bytes, start: int, end: int) -> Header:
    """The fields of a header whose end is known: `data[start:end]`, the empty line included."""
    stop = end
    if data.endswith(b"\n", start, end):
        # Without the empty line itself, if there is one.
        if data.startswith((b"\r\n", b"\n"), start) and end - start <= 2:
            stop = start
        elif data.endswith(b"\n\r\n", start, end):
            stop = end - 2
        elif data.endswith(b"\n\n", start, end):
            stop = end - 1
    fields: list[Field] = []
    by_name: dict[bytes, list[Field]] = {}
    at = start
    while at < stop:
        match = _FIELD.match(data, at, stop)
        if match is None or match.end() == at:
            break
        if len(fields) == FIELD_COUNT_LIMIT:
            return Header(fields, start, end, complete=False, by_name=by_name)
        name, value = match.groups(b"")
        item = Field(name, value.removesuffix(b"\r"), at, match.end())
        fields.append(item)
        by_name.setdefault(name.lower(), []).append(item)
        at = match.end()
    return Header(fields, start, end, by_name=by_name)
