"""How texts are compared: i;unicode-casemap (RFC 5051), for SEARCH, SORT and THREAD (I18NLEVEL=1, RFC 5255 §4).

Every character becomes its title case, then its full decomposition, so that neither case nor the way of writing an
accent matters, and `straße` sorts as it is spelled.
"""

from __future__ import annotations

import sys
import unicodedata
from functools import cache


@cache
def _title_table() -> dict[int, int]:
    """Characters whose simple title case is another one."""
    table = {}
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        title = char.title()
        if len(title) == 1 and title != char:
            table[code] = ord(title)
    return table


def casemap(text: str) -> str:
    """The form in which texts are equal, contain each other, and sort."""
    if text.isascii():
        return text.upper()
    return unicodedata.normalize("NFKD", text.translate(_title_table()))
