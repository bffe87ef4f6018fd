"""Parameters of MIME fields, as they stand and as they are meant: RFC 2045 §5.1, RFC 2231.

`parse_parameters` keeps each parameter as the sender wrote it, which is what IMAP's BODYSTRUCTURE hands out;
`decode_parameters` joins continuations, decodes charsets, and takes the encoded words that RFC 2047 §5
forbids here but half the world writes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from .charsets import decode_charset, decode_guess
from .header import unfold
from .tokens import strip_comments, unquote
from .words import decode_text

PARAMETER_COUNT_LIMIT = 1_000
"""Parameters read of one field: a file name of 60,000 octets in RFC 2231 pieces needs fewer."""

Parameter = tuple[bytes, bytes]
"""Name in lower case, value without its quotes."""

# An unquoted value runs to the semicolon: unquoted file names with spaces are common.
_PARAMETER = re.compile(
    rb';\s*+([^;=\s"]++)\s*+=\s*+(?:"((?:[^"\\]++|\\.)*+)"?+|([^;]*+))|"(?:[^"\\]++|\\.)*+"?+', re.DOTALL
)
_PIECE = re.compile(rb"([^*]+)(?:\*(\d{1,4}))?(\*)?")


def parse_parameters(value: bytes) -> tuple[Parameter, ...]:
    """All parameters behind the first semicolon of a field's value, in order."""
    if b";" not in value:
        return ()
    value = strip_comments(unfold(value))
    found: list[Parameter] = []
    for match in _PARAMETER.finditer(value):
        name, quoted, plain = match.groups()
        if name is None:
            continue
        found.append((name.lower(), plain.strip() if quoted is None else unquote(quoted)))
        if len(found) == PARAMETER_COUNT_LIMIT:
            break
    return tuple(found)


def join_pieces(parameters: Sequence[Parameter], name: bytes) -> bytes | None:
    """The raw value of a parameter, from its RFC 2231 §3 pieces when it has no plain form; no charset
    applied."""
    for key, value in parameters:
        if key == name:
            return value
    pieces = _pieces_of(parameters).get(name)
    return None if pieces is None else b"".join(data for data, _ in _in_order(pieces)) or None


def decode_parameters(parameters: Sequence[Parameter]) -> dict[str, str]:
    """Names to text. The RFC 2231 form wins over the plain one, which senders add
    for readers that know no better; of equal names the first."""
    decoded: dict[str, str] = {}
    for key, value in parameters:
        if b"*" not in key:
            decoded.setdefault(key.decode("ascii", "replace"), decode_text(value))
    for key, pieces in _pieces_of(parameters).items():
        ordered = _in_order(pieces)
        if ordered:
            decoded[key.decode("ascii", "replace")] = _decode_pieces(ordered)
    return decoded


_Pieces = dict[int, tuple[bytes, bool]]
"""By number: octets, and whether they are percent-encoded."""


def _pieces_of(parameters: Sequence[Parameter]) -> dict[bytes, _Pieces]:
    found: dict[bytes, _Pieces] = {}
    for key, value in parameters:
        if b"*" not in key:
            continue
        match = _PIECE.fullmatch(key)
        if match is not None:
            name, number, encoded = match.groups()
            found.setdefault(name, {}).setdefault(int(number or 0), (value, encoded is not None))
    return found


def _in_order(pieces: _Pieces) -> list[tuple[bytes, bool]]:
    """From number 0 up to the first gap."""
    ordered: list[tuple[bytes, bool]] = []
    while len(ordered) in pieces:
        ordered.append(pieces[len(ordered)])
    return ordered


def _decode_pieces(ordered: list[tuple[bytes, bool]]) -> str:
    first, first_encoded = ordered[0]
    charset = b""
    if first_encoded and first.count(b"'") >= 2:
        charset, _, first = first.split(b"'", 2)
        ordered = [(first, True), *ordered[1:]]
    data = b"".join(unquote_to_bytes(item) if encoded else item for item, encoded in ordered)
    return decode_charset(data, charset) if charset else decode_guess(data)
