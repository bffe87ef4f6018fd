"""Dates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.message.date import parse_date, serialize_date

READ = {
    b"Fri, 21 Nov 1997 09:55:06 -0600": "1997-11-21T09:55:06-06:00",
    b"21 Nov 97 09:55 GMT": "1997-11-21T09:55:00+00:00",
    b" Thu,\r\n  13\r\n Feb\r\n 1969\r\n 23:32\r\n  -0330 (Newfoundland Time)": "1969-02-13T23:32:00-03:30",
    b"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600": "1997-11-21T09:55:06-06:00",
    b"Mon, 1 Jan 01 00:00:00 EST": "2001-01-01T00:00:00-05:00",
    b"Mon, 1 Jan 101 00:00:00 PDT": "2001-01-01T00:00:00-07:00",
    b"1 January 2001 00:00:00 Z": "2001-01-01T00:00:00+00:00",
    b"1-Jan-2001 00:00:00 +0000": "2001-01-01T00:00:00+00:00",
    b"1 Jan 2001 00:00:00 XYZ": "2001-01-01T00:00:00+00:00",
    b"1 Jan 2001 00:00:00": "2001-01-01T00:00:00+00:00",
    b"1 Jan 2001 00:00:00 0530": "2001-01-01T00:00:00+05:30",
    b"1 Jan 2001 23:59:60 +0000": "2001-01-01T23:59:59+00:00",
    b"1 Jan 2001 00:00:00 +9999": "2001-01-01T00:00:00+00:00",
    b"Sat Sep 21 08:18:08 2002": "2002-09-21T08:18:08+00:00",
}


@pytest.mark.parametrize("raw", READ)
def test_dates_are_read(raw: bytes) -> None:
    at = parse_date(raw)
    assert at is not None
    assert at.isoformat() == READ[raw]


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"yesterday", b"32 Jan 2001 00:00", b"1 Foo 2001 00:00", b"1 Jan 2001", b"1 Jan 2001 24:00",
        b"1 Jan 0102 0:00", b"1 Jan 2001 00:60", b"(" * 300, b"\xff" * 300, b"2002/09/14 Sat 02:29:32",
        b"1 Jan 1899 00:00",
    ],
)  # fmt: skip
def test_what_is_no_date_is_none(raw: bytes) -> None:
    assert parse_date(raw) is None


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(9999, 12, 31)).map(lambda at: at.replace(microsecond=0)),
    st.integers(-14 * 60, 14 * 60),
)
def test_what_is_serialized_is_read_back(at: datetime, minutes: int) -> None:
    aware = at.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    read = parse_date(serialize_date(aware))
    assert read == aware
    assert read is not None
    assert read.utcoffset() == aware.utcoffset()


def test_an_odd_offset_becomes_utc() -> None:
    at = datetime(2026, 1, 1, tzinfo=timezone(timedelta(seconds=30)))
    assert serialize_date(at) == b"Wed, 31 Dec 2025 23:59:30 +0000"


def test_an_instant_without_an_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="offset"):
        serialize_date(datetime(2026, 1, 1))


@given(st.binary(max_size=60), st.sampled_from([b"", b"Mon, 1 Jan 2001 "]))
def test_no_octets_raise(raw: bytes, before: bytes) -> None:
    at = parse_date(before + raw)
    assert at is None or at.astimezone(UTC)
