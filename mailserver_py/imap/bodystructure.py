"""BODY and BODYSTRUCTURE: RFC 9051 §7.5.2, both made in one walk over the parts of a letter."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote

from ..message.mime import Part
from ..message.parameters import Parameter, decode_parameters
from .envelope import serialize_envelope
from .strings import NIL, serialize_nstring, serialize_string

_PIECE = re.compile(rb"([^*]+)\*[0-9]+(\*?)")


def serialize_structure(part: Part) -> tuple[bytes, bytes]:
    """(BODY, BODYSTRUCTURE) of a letter or a part. As deep as letters may nest (`message.mime.DEPTH_LIMIT`)."""
    if part.parts:
        inner = [serialize_structure(child) for child in part.parts]
        subtype = serialize_string(part.subtype)
        extension = b"%b %b" % (serialize_parameters(part.parameters), _serialize_rest(part))
        return (
            b"(%b %b)" % (b"".join([body for body, _ in inner]), subtype),
            b"(%b %b %b)" % (b"".join([structure for _, structure in inner]), subtype, extension),
        )
    fields = b"%b %b %b %b %b %b %d" % (
        serialize_string(part.type),
        serialize_string(part.subtype),
        serialize_parameters(part.parameters),
        serialize_nstring(part.content_id),
        serialize_nstring(part.description),
        serialize_string(part.encoding or b"7bit"),
        part.size_bytes,
    )
    extension = b"%b %b" % (serialize_nstring(part.md5), _serialize_rest(part))
    if part.message is not None:
        body, structure = serialize_structure(part.message)
        envelope = serialize_envelope(part.message.header)
        return (
            b"(%b %b %b %d)" % (fields, envelope, body, part.line_count),
            b"(%b %b %b %d %b)" % (fields, envelope, structure, part.line_count, extension),
        )
    if part.type == b"text":
        fields += b" %d" % part.line_count
    return b"(%b)" % fields, b"(%b %b)" % (fields, extension)


def _serialize_rest(part: Part) -> bytes:
    """Disposition, language, location."""
    disposition = NIL
    if part.disposition:
        parameters = serialize_parameters(part.disposition_parameters)
        disposition = b"(%b %b)" % (serialize_string(part.disposition), parameters)
    language = NIL
    if len(part.language) == 1:
        language = serialize_string(part.language[0])
    elif part.language:
        language = b"(%b)" % b" ".join(map(serialize_string, part.language))
    return b"%b %b %b" % (disposition, language, serialize_nstring(part.location))


def serialize_parameters(parameters: Sequence[Parameter]) -> bytes:
    """`("charset" "utf-8")` or NIL."""
    if not parameters:
        return NIL
    if any(b"*" in name for name, _ in parameters):
        parameters = _join_pieces(parameters)
    return b"(%b)" % b" ".join(
        [b"%b %b" % (serialize_string(name), serialize_string(value)) for name, value in parameters]
    )


def _join_pieces(parameters: Sequence[Parameter]) -> list[Parameter]:
    """RFC 2231 continuations become one parameter (RFC 9051 §7.5.2): `foo` when no piece was encoded, else `foo*`, in
    UTF-8 and in RFC 2231's own one-piece form, because that is how clients read a name with a star."""
    texts = decode_parameters(parameters)
    joined: dict[bytes, bytes] = {}
    encoded = {match[1] for name, _ in parameters if (match := _PIECE.fullmatch(name)) and match[2]}
    for name, value in parameters:
        match = _PIECE.fullmatch(name)
        if match is None:
            joined.setdefault(name, value)
            continue
        text = texts.get(match[1].decode("ascii", "replace"), "")
        if match[1] in encoded:
            joined.setdefault(match[1] + b"*", b"utf-8''" + quote(text, safe="").encode("ascii"))
        else:
            joined.setdefault(match[1], text.encode("utf-8", "replace"))
    return list(joined.items())
