"""The canonical forms that signatures are made over: RFC 6376 §3.4. Input has CRLF line ends."""

from __future__ import annotations

import re
from enum import Enum

from mailserver_py.message.header import Field

_SPACES = re.compile(rb"[ \t]+")
_SIGNATURE_VALUE = re.compile(rb"(^|;)([ \t\r\n]*b[ \t\r\n]*=)[^;]*")


class Canonicalization(Enum):
    """How much of a change on the way is forgiven."""

    SIMPLE = "simple"
    RELAXED = "relaxed"


def canonical_field(form: Canonicalization, letter: bytes, field: Field) -> bytes:
    """One header field (§3.4.1, §3.4.2), its line end included."""
    if form is Canonicalization.SIMPLE:
        return letter[field.start : field.end]
    return relaxed_field(field.name, field.raw_value)


def relaxed_field(name: bytes, raw_value: bytes) -> bytes:
    """Name in lower case, value on one line, runs of white space as one space."""
    value = _SPACES.sub(b" ", raw_value.replace(b"\r\n", b"")).strip(b" ")
    return name.lower() + b":" + value + b"\r\n"


def canonical_body(form: Canonicalization, body: bytes) -> bytes:
    """The body (§3.4.3, §3.4.4). Linear: runs are made one space first, and only then taken from line
    ends.
    """
    if form is Canonicalization.RELAXED:
        if b"\t" in body or b"  " in body:
            body = _SPACES.sub(b" ", body)
        if b" \r\n" in body:
            body = body.replace(b" \r\n", b"\r\n")
        body = body.removesuffix(b" ")
        if not body:
            return b""
    elif not body:
        return b"\r\n"
    end = len(body.rstrip(b"\r\n"))
    if 2 * body.count(b"\r\n", end) < len(body) - end:
        # A bare CR or LF among the last line ends: only the pairs behind it are empty lines.
        end = len(body)
        while body.endswith(b"\r\n", 0, end):
            end -= 2
    if end == 0:
        return b"" if form is Canonicalization.RELAXED else b"\r\n"
    # One CRLF stays, or comes to be.
    return body if end == len(body) - 2 else body[:end] + b"\r\n"


def without_signature(raw: bytes) -> bytes:
    """A DKIM-Signature's value with that of its `b=` tag taken out (§3.5)."""
    return _SIGNATURE_VALUE.sub(rb"\1\2", raw, count=1)
