"""SASLprep: RFC 4013, the form in which names and passwords are compared, over Unicode 3.2 (RFC 3454)."""

from __future__ import annotations

import stringprep
from unicodedata import ucd_3_2_0


class ProhibitedError(ValueError):
    """The text holds what names and passwords may not hold."""


_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)
"""RFC 4013 §2.3."""


def prepare(text: str, *, stored: bool = False) -> str:
    """The prepared form; a `stored` text may not hold what Unicode 3.2 did not assign (RFC 4013 §2.5).

    Raises ProhibitedError.
    """
    if text.isascii():
        prepared = text
    else:
        mapped = "".join(
            " " if stringprep.in_table_c12(letter) else letter
            for letter in text
            if not stringprep.in_table_b1(letter)
        )
        prepared = ucd_3_2_0.normalize("NFKC", mapped)
    if any(table(letter) for letter in prepared for table in _PROHIBITED):
        raise ProhibitedError("a prohibited character")
    if stored and any(stringprep.in_table_a1(letter) for letter in prepared):
        raise ProhibitedError("an unassigned character")
    if any(stringprep.in_table_d1(letter) for letter in prepared):
        # RFC 3454 §6: right-to-left text has no left-to-right letters, and begins and ends with its own.
        ends = stringprep.in_table_d1(prepared[0]) and stringprep.in_table_d1(prepared[-1])
        if not ends or any(stringprep.in_table_d2(letter) for letter in prepared):
            raise ProhibitedError("directions are mixed")
    return prepared
