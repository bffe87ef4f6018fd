"""SPF macro strings: RFC 7208 §7. Parsed once into pieces; expanding cannot fail."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

_PIECE = re.compile(
    r"(?P<literal>[!-$&-~]+)"
    r"|%\{(?P<letter>[slodiphvcrtSLODIPHVCRT])(?P<digits>[0-9]*)(?P<reverse>[rR]?)(?P<delimiters>[.\-+,/_=]*)\}"
    r"|%(?P<escape>[%_\-])"
)
_ESCAPES = {"%": "%", "_": " ", "-": "%20"}
_ONLY_IN_EXPLANATIONS = frozenset("crt")
_DOMAIN_END = re.compile(r"\.(?=[0-9\-]*[A-Za-z])[A-Za-z0-9](?:[A-Za-z0-9\-]*[A-Za-z0-9])?\.?\Z")
"""A top label: not all digits, no hyphen at its ends (§7.1)."""

MAX_NAME_CHARS = 253
"""A longer name loses labels from the left (§7.3)."""


@dataclass(frozen=True, slots=True)
class Expansion:
    """One `%{…}`."""

    letter: str
    """Lower case."""
    keep_count: int
    """Parts kept from the right; 0: all."""
    reverse: bool
    delimiters: str
    escape: bool
    """An upper-case letter: URL-escaped."""


Pieces = tuple[str | Expansion, ...]


def parse_macro_string(text: str, *, explanation: bool = False) -> Pieces | None:
    """The pieces, or None when the syntax is wrong. Explanations may have spaces and three more letters."""
    pieces: list[str | Expansion] = []
    at = 0
    while at < len(text):
        if explanation and text[at] == " ":
            pieces.append(" ")
            at += 1
            continue
        match = _PIECE.match(text, at)
        if match is None:
            return None
        at = match.end()
        if match["literal"] is not None:
            pieces.append(match["literal"])
        elif match["escape"] is not None:
            pieces.append(_ESCAPES[match["escape"]])
        else:
            letter = match["letter"].lower()
            digits = match["digits"]
            if (letter in _ONLY_IN_EXPLANATIONS and not explanation) or (digits and not int(digits[:9])):
                return None
            pieces.append(
                Expansion(
                    letter,
                    int(digits[:9] or 0),
                    bool(match["reverse"]),
                    match["delimiters"] or ".",
                    match["letter"].isupper(),
                )
            )
    return tuple(pieces)


def parse_domain_spec(text: str) -> Pieces | None:
    """A domain-spec: a macro string that ends in a top label or in a macro (§7.1)."""
    pieces = parse_macro_string(text)
    if not pieces:
        return None
    if text.endswith("}") and isinstance(pieces[-1], Expansion):
        return pieces
    return pieces if _DOMAIN_END.search(text) else None


def expand(pieces: Sequence[str | Expansion], values: Mapping[str, str]) -> str:
    """The text; `values` has one entry for each letter that occurs."""
    return "".join(
        piece if isinstance(piece, str) else _expand_one(piece, values[piece.letter]) for piece in pieces
    )


def expand_name(pieces: Sequence[str | Expansion], values: Mapping[str, str]) -> str:
    """A name to look up: without its final dot, shortened from the left when it is too long."""
    name = expand(pieces, values).removesuffix(".")
    while len(name) > MAX_NAME_CHARS:
        _, dot, rest = name.partition(".")
        name = rest if dot else name[:MAX_NAME_CHARS]
    return name


def letters(pieces: Sequence[str | Expansion]) -> frozenset[str]:
    """Which letters occur."""
    return frozenset(piece.letter for piece in pieces if isinstance(piece, Expansion))


def _expand_one(macro: Expansion, value: str) -> str:
    parts = re.split("[" + re.escape(macro.delimiters) + "]", value)
    if macro.reverse:
        parts.reverse()
    if macro.keep_count:
        parts = parts[-macro.keep_count :]
    text = ".".join(parts)
    return quote(text, safe="-._~") if macro.escape else text
