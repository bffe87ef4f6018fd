"""Strings, atoms and dates: what is serialized is parsed again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.imap.cursor import NESTING_MAX, Cursor
from mailserver_py.imap.dates import parse_date_time, serialize_date_time
from mailserver_py.imap.flags import parse_flags, serialize_flags
from mailserver_py.imap.replies import Refused
from mailserver_py.imap.strings import (
    serialize_astring,
    serialize_literal8,
    serialize_nstring,
    serialize_string,
)

octets = st.binary(max_size=60).map(lambda data: data.replace(b"\0", b"x"))


@given(octets)
def test_a_string_comes_back(value: bytes) -> None:
    for data in (serialize_string(value), serialize_astring(value)):
        cursor = Cursor(data)
        assert cursor.astring() == value
        cursor.end()


@given(st.binary(max_size=60))
def test_a_literal8_carries_every_octet(value: bytes) -> None:
    assert Cursor(serialize_literal8(value)).literal() == value


@given(st.binary(max_size=60))
def test_a_quoted_string_is_plain_ascii_on_one_line(value: bytes) -> None:
    data = serialize_string(value)
    if data.startswith(b'"'):
        assert data.isascii() and not set(data) & {0, 10, 13}
    else:
        assert b"\0" not in data


def test_nil_is_never_an_atom_by_accident() -> None:
    assert serialize_astring(b"nil") == b'"nil"'
    assert serialize_nstring(None) == b"NIL" and serialize_nstring(b"NIL") == b'"NIL"'


def test_nul_cannot_be_sent_in_a_literal() -> None:
    with pytest.raises(Refused):
        Cursor(b"{1}\r\n\0").literal()


@given(st.integers(-2_000_000_000, 250_000_000_000))
def test_a_date_time_comes_back(at_s: int) -> None:
    assert parse_date_time(serialize_date_time(at_s)) == at_s


@pytest.mark.parametrize(
    ("raw", "at_s"),
    [
        (b"17-Jul-1996 02:44:25 -0700", 837596665),
        (b" 1-Jan-1970 00:00:00 +0000", 0),
        (b"01-jan-2000 00:00:60 +0000", 946684859),
        (b"31-Feb-2000 00:00:00 +0000", None),
        (b"1-Jan-2000 00:00:00 +0000", None),
        (b"01-Jan-2000 00:00:00", None),
        (b"01-Jan-2000 25:00:00 +0000", None),
    ],
)
def test_date_times(raw: bytes, at_s: int | None) -> None:
    assert parse_date_time(raw) == at_s


keywords = st.lists(st.text("abXY$_7", min_size=1, max_size=8), unique_by=str.lower, max_size=5)


@given(st.integers(0, 31), keywords)
def test_flags_come_back(bits: int, words: list[str]) -> None:
    parsed = Cursor(b"(%b)" % serialize_flags(bits, " ".join(sorted(words)))).flag_list()
    assert (parsed.bits, parsed.keywords) == (bits, tuple(sorted(words)))


def test_a_keyword_counts_once_in_any_case() -> None:
    assert parse_flags([b"$Junk", b"$junk", b"\\recent"]).keywords == ("$Junk",)


@pytest.mark.parametrize("depth", [NESTING_MAX, NESTING_MAX + 1])
def test_lists_nest_only_so_deep(depth: int) -> None:
    cursor = Cursor(b"(" * depth + b"x" + b")" * depth)

    def element() -> object:
        return cursor.items(element) if cursor.peek() == b"(" else cursor.atom()

    if depth > NESTING_MAX:
        with pytest.raises(Refused):
            element()
    else:
        element()
        cursor.end()
