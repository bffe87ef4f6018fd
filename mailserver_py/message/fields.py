"""Header fields that we write ourselves: RFC 5322 §2.2, RFC 2047, RFC 2231, with nothing to break out of.

A value with a control character, a line or paragraph separator, or a lone surrogate is refused by
`UnsafeValue` (promises S14): what a stranger gave us is first made harmless by `embeddable`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from urllib.parse import quote

from .address import Address, AddressError, a_labels, parse_address
from .words import encode_text, encode_words

LINE_BYTES = 78
"""Where lines are folded (RFC 5322 §2.1.1)."""

LINE_BYTES_LIMIT = 998
"""Longest line there may be, without CRLF (§2.1.1)."""

VALUE_CHARS_LIMIT = 10_000
"""Of a field of ours: more than any of them needs, far below what relays refuse."""

PIECE_CHARS = 60
"""Longest piece of a parameter, so that it stands on a line of its own."""

_NAME = re.compile(r"[!-9;-~]{1,76}")
_HOSTILE = frozenset(("Cc", "Cs", "Zl", "Zp"))
_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_TOKEN = re.compile(r"[!#$&+.0-9A-Z^_`a-z{|}~-]+")
_UNSTRUCTURED = frozenset(("subject", "comments", "content-description"))


class UnsafeValue(ValueError):
    """A value that cannot stand in a header field; the message names the field, never the value."""


def serialize_field(name: str, value: str, *, utf8: bool = False) -> bytes:
    """One field, folded, with its line end. Raises UnsafeValue.

    Subject, Comments, Content-Description and fields whose name begins with `X-` are text and get encoded
    words as needed. All others are structured: their value stands as given, ASCII unless `utf8` (RFC 6532).
    """
    if not _NAME.fullmatch(name):
        raise UnsafeValue("a field name has a character that no name may have")
    if len(value) > VALUE_CHARS_LIMIT or is_hostile(value):
        raise UnsafeValue(f"the value of {name} is too long or has a control character")
    if name.lower() in _UNSTRUCTURED or name[:2].lower() == "x-":
        long_word = any(len(word) > LINE_BYTES for word in value.split(" "))
        encode = encode_words if long_word else encode_text
        data = f"{name}: ".encode() + encode(value, len(name) + 2)
    elif utf8 or value.isascii():
        data = f"{name}: {value.strip()}".encode()
    else:
        raise UnsafeValue(f"the value of {name} is not ASCII")
    folded = data if b"\r\n" in data else _fold(data)
    if any(len(line) > LINE_BYTES_LIMIT for line in folded.split(b"\r\n")):
        raise UnsafeValue(f"the value of {name} has a word that is longer than a line")
    return folded.rstrip(b" ") + b"\r\n"


def is_hostile(text: str) -> bool:
    """Whether text has something that could end a line for some reader: controls (tab too), U+2028,
    U+2029."""
    return not text.isprintable() and any(unicodedata.category(char) in _HOSTILE for char in text)


def embeddable(text: str, limit_chars: int = 1_000) -> str:
    """A stranger's text, bounded and in printable ASCII: all else as `\\x{263A}` (RFC 6533 §3's form)."""
    return "".join(
        char if " " <= char <= "~" and char != "\\" else f"\\x{{{ord(char):02X}}}"
        for char in text[:limit_chars]
    )


def mailbox_text(display_name: str, address: Address | str) -> str:
    """`Name <local@domain>` for From, To and their kin, encoded so that ASCII suffices if the local part
    is ASCII.

    Raises UnsafeValue for a display name with a control character and for what is no address.
    """
    if is_hostile(display_name):
        raise UnsafeValue("the display name has a control character")
    try:
        checked = parse_address(address.serialize() if isinstance(address, Address) else address)
        domain = checked.domain if checked.domain.startswith("[") else a_labels(checked.domain)
    except AddressError as error:
        raise UnsafeValue(f"the address is none: {error}") from None
    spec = Address(checked.local, domain).serialize()
    if not display_name:
        return spec
    if _PHRASE.fullmatch(display_name) and "=?" not in display_name:
        phrase = display_name
    elif display_name.isascii() and "=?" not in display_name and display_name == display_name.strip():
        escaped = display_name.replace("\\", "\\\\").replace('"', '\\"')
        phrase = f'"{escaped}"'
    else:
        phrase = encode_words(display_name).decode("ascii").replace("\r\n", "")
    return f"{phrase} <{spec}>"


def parameters_text(parameters: Sequence[tuple[str, str]]) -> str:
    """`; name=value …` for a MIME field: plain, quoted, or by RFC 2231 in pieces when it is not ASCII or
    is long."""
    return "".join(f"; {item}" for name, value in parameters for item in _parameter(name, value))


def _parameter(name: str, value: str) -> list[str]:
    if not _TOKEN.fullmatch(name) or is_hostile(value):
        raise UnsafeValue(f"a MIME parameter ({name[:20]!a}) has a character that none may have")
    plain = value.isascii() and "=?" not in value and value == value.strip()
    if plain and len(value) <= PIECE_CHARS:
        if _TOKEN.fullmatch(value):
            return [f"{name}={value}"]
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return [f'{name}="{escaped}"']
    encoded = "utf-8''" + quote(value, safe="")
    if len(encoded) <= PIECE_CHARS:
        return [f"{name}*={encoded}"]
    pieces: list[str] = []
    while encoded:
        end = PIECE_CHARS
        # A percent escape stays whole.
        end -= next((back for back in (1, 2) if encoded[end - back : end - back + 1] == "%"), 0)
        pieces.append(encoded[:end])
        encoded = encoded[end:]
    return [f"{name}*{index}*={piece}" for index, piece in enumerate(pieces)]


def _fold(line: bytes) -> bytes:
    """Folds at single spaces; never so that a line has nothing but white space."""
    if len(line) <= LINE_BYTES:
        return line
    words = line.split(b" ")
    folded = [words[0]]
    size_bytes = len(words[0])
    for index, word in enumerate(words[1:], start=1):
        # Not behind the name: some readers want a word on the first line.
        if word and index > 1 and words[index - 1] and size_bytes + 1 + len(word) > LINE_BYTES:
            folded.append(b"\r\n " + word)
            size_bytes = 1 + len(word)
        else:
            folded.append(b" " + word)
            size_bytes += 1 + len(word)
    return b"".join(folded)
