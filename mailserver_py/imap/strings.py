"""Strings on the wire: RFC 9051 §4.3 and §9 `astring`, `nstring`, `quoted`, `literal`, `literal8`.

Eight-bit data goes out as a literal unless the client has enabled UTF-8: a literal is legal for every client, a quoted
string with UTF-8 is not (RFC 9051 §A).
"""

from __future__ import annotations

import re

_ATOM = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\]+")
_QUOTABLE = re.compile(rb"[^\x00\r\n\x80-\xff]*")
_QUOTABLE_UTF8 = re.compile(rb"[^\x00\r\n]*")
_SPECIAL = re.compile(rb'(["\\])')

QUOTED_MAX_BYTES = 8192
"""Longer values go out as literals: some clients read quoted strings into line buffers of this size."""

NIL = b"NIL"


def serialize_string(value: bytes, *, utf8: bool = False) -> bytes:
    """Quoted where that is legal, else a literal. NUL, which no string can carry, becomes 0x80 as other servers do."""
    quotable = _QUOTABLE_UTF8 if utf8 else _QUOTABLE
    if len(value) <= QUOTED_MAX_BYTES and quotable.fullmatch(value):
        if b'"' in value or b"\\" in value:
            value = _SPECIAL.sub(rb"\\\1", value)
        return b'"%b"' % value
    if b"\0" in value:
        value = value.replace(b"\0", b"\x80")
    return serialize_literal(value)


def serialize_nstring(value: bytes | None) -> bytes:
    """A string, or NIL for None."""
    return NIL if value is None else serialize_string(value)


def serialize_astring(value: bytes, *, utf8: bool = False) -> bytes:
    """An atom where that is legal and cannot be mistaken for NIL, else a string."""
    if _ATOM.fullmatch(value) and value.upper() != NIL:
        return value
    return serialize_string(value, utf8=utf8)


def serialize_literal(value: bytes) -> bytes:
    """`{n}`, CRLF, the octets."""
    return b"{%d}\r\n%b" % (len(value), value)


def serialize_literal8(value: bytes) -> bytes:
    """`~{n}`, CRLF, the octets, NUL allowed (RFC 3516 §4)."""
    return b"~{%d}\r\n%b" % (len(value), value)
