"""PREVIEW: RFC 8970 §3. The first words of a letter as people would read them, made from its first text part.

Made on the spot: reading the letter is most of the cost, so LAZY (§4.1) is answered like the rest.
"""

from __future__ import annotations

import html
import re

from ..message.mime import Part, parse_structure
from ..message.text import part_text

PREVIEW_CHARS = 200
"""RFC 8970 §3.3: SHOULD; the hard limit is 256."""
LOOKED_AT_CHARS = 100_000
"""Of the text; a preview that needs more than this has no words at its beginning."""

_HIDDEN = re.compile(
    r"<(style|script|head|title)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)", re.IGNORECASE | re.DOTALL
)
_TAG = re.compile(r"<[^<>]*>")
_SPACES = re.compile(r"\s+")
_QUOTED = re.compile(r"^(?:>.*|On .{1,200} wrote:)\r?$", re.MULTILINE)


def derive_preview(letter: bytes) -> str:
    """At most PREVIEW_CHARS characters; empty when there is nothing to read."""
    part = _first_text(parse_structure(letter))
    if part is None:
        return ""
    text = part_text(letter, part)[:LOOKED_AT_CHARS]
    is_html = part.subtype == b"html"
    text = html.unescape(_TAG.sub(" ", _HIDDEN.sub(" ", text))) if is_html else _QUOTED.sub("", text)
    printable = "".join(char if char.isprintable() or char.isspace() else " " for char in text)
    return _SPACES.sub(" ", printable).strip()[:PREVIEW_CHARS].rstrip()


def _first_text(root: Part) -> Part | None:
    """The first plain text that is no attachment, else the first HTML."""
    waiting, markup = [root], None
    while waiting:
        part = waiting.pop()
        if part.message is not None or part.disposition == b"attachment":
            continue
        if part.parts:
            waiting.extend(reversed(part.parts))
        elif part.type == b"text":
            if part.subtype != b"html":
                return part
            markup = markup or part
    return markup
