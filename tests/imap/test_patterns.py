"""LIST patterns: RFC 9051 §6.3.9."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.imap.patterns import Pattern


def expected(pattern: str, name: str) -> bool:
    """The slow way, for short ones."""
    expression = "".join(".*" if c == "*" else "[^/]*" if c == "%" else re.escape(c) for c in pattern)
    return re.fullmatch(expression, name, re.DOTALL) is not None


@given(st.text("ab/*%", max_size=8), st.text("ab/", max_size=8))
def test_matching_is_what_the_wildcards_say(pattern: str, name: str) -> None:
    assert Pattern(pattern).matches(name) is expected(pattern, name)


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("inbox", "INBOX", True),
        ("InB*", "INBOX", True),
        ("inbox/%", "INBOX/a", False),
        ("%", "a/b", False),
        ("*", "a/b", True),
        ("%/%", "a/b", True),
        ("", "a", False),
    ],
)
def test_patterns_match_names(pattern: str, name: str, matches: bool) -> None:
    assert Pattern(pattern).matches(name) is matches


def test_a_hostile_pattern_is_matched_in_no_time() -> None:
    pattern = Pattern("*a%b" * 500 + "c")
    start = time.perf_counter()
    for _ in range(20):
        assert not pattern.matches("ab" * 120)
    assert time.perf_counter() - start < 0.5
