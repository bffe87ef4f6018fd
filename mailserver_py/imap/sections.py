"""Sections of a letter: RFC 9051 §6.4.5.1 and §9 `section`, `section-binary`, `partial`.

A section is parsed to a value and answered by slices of the letter, from the offsets in `Digest.parts`.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from ..message.header import parse_fields
from ..message.words import decode_base64
from .cursor import NUMBER64_MAX, Cursor
from .parts import Encoding, Kind, Node, find_part, parse_parts
from .replies import bad, no
from .strings import serialize_astring

PATH_MAX_COUNT = 200
"""Numbers in one section; letters nest at most 100 deep (`message.mime`)."""

PATTERN_NAMES_MAX_COUNT = 64
"""Field names searched by a pattern, which is twice as fast as parsing the header; Thunderbird asks for 15."""

_PATH = re.compile(rb"[1-9][0-9]{0,9}(?:\.[1-9][0-9]{0,9})*")
_TEXT = re.compile(rb"HEADER\.FIELDS\.NOT|HEADER\.FIELDS|HEADER|TEXT|MIME", re.IGNORECASE)
_NEWLINE = re.compile(rb"\r?\n")


class Text(Enum):
    """The last, non-numeric specifier."""

    ALL = b""
    HEADER = b"HEADER"
    FIELDS = b"HEADER.FIELDS"
    FIELDS_NOT = b"HEADER.FIELDS.NOT"
    TEXT = b"TEXT"
    MIME = b"MIME"


@dataclass(frozen=True, slots=True)
class Section:
    """What stands between the brackets, and the partial behind them."""

    path: tuple[int, ...] = ()
    text: Text = Text.ALL
    fields: tuple[bytes, ...] = ()
    origin: int = 0
    length: int = -1
    """Octets of the partial; -1: no partial was asked for."""

    @property
    def needs_parts(self) -> bool:
        """Whether part offsets are needed, or the length of the letter's header is enough."""
        return bool(self.path)

    def serialize(self) -> bytes:
        """`[1.2.HEADER.FIELDS (DATE)]<0>`, as a FETCH response repeats it."""
        pieces = [b"%d" % number for number in self.path]
        if self.text is not Text.ALL:
            pieces.append(self.text.value)
        spec = b".".join(pieces)
        if self.fields:
            spec += b" (%b)" % b" ".join(serialize_astring(name) for name in self.fields)
        return b"[%b]" % spec + (b"<%d>" % self.origin if self.length >= 0 else b"")


def parse_section(cursor: Cursor, *, binary: bool = False, partial: bool = True) -> Section:
    """From the opening bracket to the end of the partial."""
    cursor.expect(b"[")
    path: tuple[int, ...] = ()
    match = _PATH.match(cursor.data, cursor.position)
    if match is not None:
        path = tuple(map(int, match[0].split(b".")))
        cursor.position = match.end()
        if len(path) > PATH_MAX_COUNT:
            raise bad(b"The section is too deep")
    text = Text.ALL
    fields: tuple[bytes, ...] = ()
    dotted = bool(path) and not binary and cursor.skip(b".")
    if dotted or (not path and not binary and cursor.peek() != b"]"):
        text, fields = _parse_text(cursor, inside=bool(path))
    cursor.expect(b"]")
    origin, length = 0, -1
    if partial and cursor.skip(b"<"):
        origin = cursor.number()
        cursor.expect(b".")
        length = cursor.number(NUMBER64_MAX)
        cursor.expect(b">")
        if length == 0:
            raise bad(b"A partial of no octets")
    return Section(path, text, fields, origin, length)


def _parse_text(cursor: Cursor, *, inside: bool) -> tuple[Text, tuple[bytes, ...]]:
    match = _TEXT.match(cursor.data, cursor.position)
    if match is None:
        raise bad(b"There is no such section")
    cursor.position = match.end()
    text = Text(match[0].upper())
    if text is Text.MIME and not inside:
        raise bad(b"MIME needs a part number")
    if text in {Text.FIELDS, Text.FIELDS_NOT}:
        cursor.space()
        return text, tuple(cursor.items(cursor.astring, empty=False))
    return text, ()


def slice_partial(data: bytes, section: Section) -> bytes:
    """The octets of the partial; an origin beyond the end gives none (RFC 9051 §6.4.5)."""
    if section.length < 0:
        return data
    return data[section.origin : section.origin + section.length]


def extract(letter: bytes, header_bytes: int, parts: bytes, section: Section) -> bytes | None:
    """The section's octets before the partial; None when there is no such part."""
    if not section.path:
        return _extract_text(
            letter, Node(Kind.LEAF, Encoding.IDENTITY, 0, header_bytes, len(letter), ()), section
        )
    node = find_part(parse_parts(parts), section.path)
    if node is None:
        return None
    if section.text is Text.ALL:
        return letter[node.body_start : node.end]
    if section.text is Text.MIME:
        return letter[node.start : node.body_start]
    if node.kind is not Kind.MESSAGE:
        return None
    return _extract_text(letter, node.children[0], section)


def _extract_text(letter: bytes, node: Node, section: Section) -> bytes:
    """HEADER, TEXT and their kin of a letter: the whole one, or an enclosed one."""
    if section.text is Text.ALL:
        return letter
    if section.text is Text.TEXT:
        return letter[node.body_start : node.end]
    if section.text is Text.HEADER:
        return letter[node.start : node.body_start]
    return select_fields(letter, node, section)


@lru_cache(maxsize=256)
def _field_pattern(names: tuple[bytes, ...]) -> re.Pattern[bytes]:
    """Finds the fields of these names with their continuation lines; no octet is looked at twice."""
    return re.compile(
        rb"(?im)^(?:%b)[ \t]*+:[^\n]*+(?:\n[ \t][^\n]*+)*+\n?+" % b"|".join(re.escape(name) for name in names)
    )


def select_fields(letter: bytes, node: Node, section: Section) -> bytes:
    """HEADER.FIELDS and HEADER.FIELDS.NOT, the empty line included where the letter has one."""
    if section.text is Text.FIELDS and len(section.fields) <= PATTERN_NAMES_MAX_COUNT:
        found = _field_pattern(section.fields).findall(letter, node.start, node.body_start)
        return b"".join(found) + _empty_line(letter, node)
    wanted = {name.lower() for name in section.fields}
    inverse = section.text is Text.FIELDS_NOT
    header = parse_fields(letter, node.start, node.body_start)
    kept = [
        letter[at.start : at.end]
        for at in header.fields
        if (at.name.lower() in wanted) is not inverse and at.name
    ]
    return b"".join(kept) + _empty_line(letter, node)


def _empty_line(letter: bytes, node: Node) -> bytes:
    """What ends a header, as the letter has it; nothing where it has none."""
    header = letter[max(node.start, node.body_start - 3) : node.body_start]
    if header.endswith(b"\n\r\n") or header == b"\r\n":
        return b"\r\n"
    return b"\n" if header.endswith(b"\n\n") or header == b"\n" else b""


def extract_binary(letter: bytes, parts: bytes, section: Section) -> bytes | None:
    """BINARY: the part's content, decoded (RFC 9051 §6.4.5, RFC 3516 §4.2). Raises NO [UNKNOWN-CTE]."""
    if not section.path:
        return letter
    node = find_part(parse_parts(parts), section.path)
    if node is None:
        return None
    if node.kind in {Kind.MULTIPART, Kind.MESSAGE}:
        raise no(b"BINARY is for parts that hold no parts", b"UNKNOWN-CTE")
    data = letter[node.body_start : node.end]
    if node.encoding is Encoding.UNKNOWN:
        raise no(b"The part's transfer encoding is not known here", b"UNKNOWN-CTE")
    if node.encoding is Encoding.BASE64:
        data = decode_base64(data)
    elif node.encoding is Encoding.QUOTED_PRINTABLE:
        data = binascii.a2b_qp(data)
    else:
        return data
    return _NEWLINE.sub(b"\r\n", data) if node.kind is Kind.TEXT else data
