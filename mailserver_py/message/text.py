"""The text of a letter, decoded: RFC 2045 §6 transfer encodings and charsets, for searching and for showing.

Nothing here fails: what cannot be decoded is kept as it stands, or as U+FFFD.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from .charsets import decode_charset
from .header import Header
from .mime import Part
from .words import decode_base64, decode_text

_UUENCODE = frozenset((b"x-uuencode", b"uuencode", b"x-uue", b"uue"))

_ENCODED = (b"=?", b"base64", b"quoted-printable", b"uue")
"""Without any of these in it, nothing in a letter is encoded (lower case; the last stands for all of _UUENCODE)."""
_PLAIN_CHARSET = re.compile(rb'charset="?(?:us-ascii|utf-8|iso-8859-|windows-125)')
"""Charsets in which ASCII octets are ASCII. Others (UTF-7, ISO-2022, HZ) make letters of them that nobody sees."""


def surely_lacks(data: bytes, text: str) -> bool:
    """Whether a look at the octets alone shows that `search_text` finds no such text, in any case of its letters.

    False says nothing. True is a hundred times cheaper than reading the letter, and most letters are plain.
    """
    if not text.isascii() or not text or any(char.isspace() for char in text) or not data.isascii():
        return False  # white space may be a folded line's
    lowered = data.lower()
    if text.lower().encode() in lowered or any(mark in lowered for mark in _ENCODED):
        return False
    return lowered.count(b"charset") == len(_PLAIN_CHARSET.findall(lowered))


def decode_body(data: bytes, part: Part) -> bytes:
    """The body without its Content-Transfer-Encoding; of an encoding that we do not know, the octets
    themselves."""
    body = data[part.body_start : part.end]
    if part.encoding == b"base64":
        return decode_base64(body)
    if part.encoding == b"quoted-printable":
        return binascii.a2b_qp(body)
    if part.encoding in _UUENCODE:
        return _decode_uu(body)
    return body


def part_text(data: bytes, part: Part) -> str:
    """The body as text in its declared charset; HTML stays HTML."""
    charset = next((value for name, value in part.parameters if name == b"charset"), b"")
    return decode_charset(decode_body(data, part), charset)


def header_text(header: Header) -> str:
    """All fields, decoded, one a line."""
    return "\n".join(
        f"{item.name.decode('ascii', 'replace')}: {decode_text(item.raw_value)}" for item in header.fields
    )


def search_text(data: bytes, root: Part, *, with_header: bool = True) -> Iterator[str]:
    """Every text that a search looks into: headers (of `root` itself only `with_header`) and text bodies,
    in order.

    Headers of parts are among them, so that an attachment is found by its file name.
    """
    waiting = [root]
    while waiting:
        part = waiting.pop()
        if part is not root or with_header:
            yield header_text(part.header)
        if part.message is not None:
            waiting.append(part.message)
        elif part.parts:
            waiting.extend(reversed(part.parts))
        elif part.type == b"text":
            yield part_text(data, part)


def _decode_uu(body: bytes) -> bytes:
    """Lines between `begin` and `end`; a line that is none ends it."""
    decoded: list[bytes] = []
    begun = False
    for line in body.splitlines():
        if not begun:
            begun = line.startswith(b"begin ")
            continue
        if line.rstrip() in (b"end", b"`", b""):
            break
        try:
            decoded.append(binascii.a2b_uu(line))
        except binascii.Error:
            # Broken encoders count wrong: the count in the first octet says how much is meant.
            count = ((line[0] - 32) & 63) * 4 // 3 + 2
            try:
                decoded.append(binascii.a2b_uu(line[:count]))
            except binascii.Error:
                break
    return b"".join(decoded) if begun else body
