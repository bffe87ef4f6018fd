"""i;unicode-casemap: RFC 5051 §2."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.imap.collation import casemap


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("hello", "HELLO", True),
        ("\u00e9", "E\u0301", True),
        ("\u01c6", "\u01c4", True),
        ("\u00df", "ss", False),
        ("\ufb01", "FI", False),
        ("\uff21", "A", True),
        ("\u03c3", "\u03a3", True),
    ],
    ids=["case", "accent", "digraph", "sharp-s", "ligature", "full-width", "sigma"],
)
def test_what_is_equal(one: str, other: str, same: bool) -> None:
    assert (casemap(one) == casemap(other)) is same


@given(st.text())
def test_case_never_matters_for_ascii_and_mapping_again_changes_nothing_there(text: str) -> None:
    plain = text.encode("ascii", "ignore").decode()
    assert casemap(plain.lower()) == casemap(plain.upper()) == casemap(casemap(plain))
