"""The text of a letter, decoded: RFC 2045 §6 transfer encodings and charsets, for searching and for showing.

Nothing here fails: what cannot be decoded is kept as it stands, or as U+FFFD.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator

from .charsets import decode_charset
from .header import Header
from .mime import Part
from .words import decode_base64, decode_text

_UUENCODE = frozenset((b"x-uuencode", b"uuencode", b"x-uue", b"uue"))


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
