"""The lexical pieces that structured fields share: RFC 5322 §3.2, in one pass, however they are broken.

Comments nest, so no regular expression can skip them; an unfinished comment or quote runs to the end.
"""

from __future__ import annotations

import re

_COMMENT_SIGN = re.compile(rb"\\.|[()]", re.DOTALL)
_FLAT_COMMENT = re.compile(rb"\((?:[^()\\]++|\\.)*+\)", re.DOTALL)
_OPENING = re.compile(rb'\(|"(?:[^"\\]++|\\.)*+"?+', re.DOTALL)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)


def skip_comment(data: bytes, at: int) -> int:
    """The offset behind the comment that opens at `at`; a backslash as the last octet is only an octet."""
    flat = _FLAT_COMMENT.match(data, at)
    if flat is not None:
        return flat.end()
    depth = 0
    for match in _COMMENT_SIGN.finditer(data, at):
        sign = match[0]
        if sign == b"(":
            depth += 1
        elif sign == b")":
            depth -= 1
            if depth == 0:
                return match.end()
    return len(data)


def strip_comments(value: bytes) -> bytes:
    """Without its comments; parentheses inside quotes stay."""
    if b"(" not in value:
        return value
    kept: list[bytes] = []
    at = search_at = 0
    while match := _OPENING.search(value, search_at):
        if match[0] == b"(":
            kept.append(value[at : match.start()])
            at = search_at = skip_comment(value, match.start())
        else:
            search_at = match.end()
    kept.append(value[at:])
    return b"".join(kept)


def unquote(content: bytes) -> bytes:
    """The content of a quoted string without its quoted pairs (§3.2.4); a last lone backslash stays."""
    return _QUOTED_PAIR.sub(rb"\1", content) if b"\\" in content else content
