"""Flags on the wire: RFC 9051 §2.3.2 and §9 `flag-list`.

Deviation: `\\Recent` (RFC 3501 §2.3.2) is never set, and is ignored where a client sends it. RFC 9051 removed it; to
know which session saw a message first would cost a durable write for every SELECT.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from ..mailstore.values import Flag
from .replies import bad, no

SYSTEM_FLAGS: tuple[tuple[Flag, bytes], ...] = (
    (Flag.ANSWERED, b"\\Answered"),
    (Flag.FLAGGED, b"\\Flagged"),
    (Flag.DELETED, b"\\Deleted"),
    (Flag.SEEN, b"\\Seen"),
    (Flag.DRAFT, b"\\Draft"),
)
"""In the order of RFC 9051's examples."""

_BITS = {name.lower(): int(bit) for bit, name in SYSTEM_FLAGS}

KEYWORD_MAX_BYTES = 128
"""Far beyond what clients use; keeps a message's row small."""
KEYWORDS_MAX_COUNT = 64
"""Keywords that one command may name."""


@dataclass(frozen=True, slots=True)
class FlagList:
    """Flags as a command named them."""

    bits: int = 0
    keywords: tuple[str, ...] = ()


def parse_flags(names: Iterable[bytes]) -> FlagList:
    """Names → bits and keywords, each keyword once (case-insensitively). Raises Refused."""
    bits = 0
    keywords: dict[bytes, str] = {}
    for name in names:
        if name.startswith(b"\\"):
            if name.lower() == b"\\recent":
                continue
            if name.lower() not in _BITS:
                raise bad(b"There is no such system flag")
            bits |= _BITS[name.lower()]
        else:
            keywords.setdefault(name.lower(), name.decode("ascii"))
            if len(name) > KEYWORD_MAX_BYTES or len(keywords) > KEYWORDS_MAX_COUNT:
                raise no(b"The keyword is too long, or there are too many", b"LIMIT")
    return FlagList(bits, tuple(keywords.values()))


@lru_cache(maxsize=8192)
def serialize_flags(bits: int, keywords: str = "") -> bytes:
    """`\\Seen $Forwarded`, without the parentheses. Cached: a mailbox has few distinct sets of flags."""
    names = [name for bit, name in SYSTEM_FLAGS if bits & bit]
    if keywords:
        names.append(keywords.encode("ascii", "replace"))
    return b" ".join(names)
