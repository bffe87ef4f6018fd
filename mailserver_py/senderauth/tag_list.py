"""Tag lists, `tag=value; …`: RFC 6376 §3.2. Signatures, key records and DMARC records are written in them."""

from __future__ import annotations

import re
from collections.abc import Mapping

_TAG = re.compile(rb"[ \t\r\n]*([A-Za-z][A-Za-z0-9_]*)[ \t\r\n]*=(.*)", re.DOTALL)

MAX_TAG_COUNT = 64
"""Fifteen are defined for a signature; a thousand are an attack."""


def parse_tag_list(data: bytes) -> Mapping[str, bytes] | None:
    """Tags in their order, values without white space around them; None when it is no tag list.

    A tag that stands twice makes the whole list invalid (§3.2).
    """
    specs = data.split(b";")
    if not specs[-1].strip(b" \t\r\n"):
        specs.pop()
    if len(specs) > MAX_TAG_COUNT:
        return None
    tags: dict[str, bytes] = {}
    for spec in specs:
        match = _TAG.fullmatch(spec)
        if match is None:
            return None
        name = match[1].decode("ascii")
        if name in tags:
            return None
        tags[name] = match[2].strip(b" \t\r\n")
    return tags
