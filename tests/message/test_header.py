"""Header fields: exact offsets, whatever the header looks like."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.message.header import FIELD_COUNT_LIMIT, find_header_end, parse_header, unfold

# Few letters, many line ends: what breaks headers.
OCTETS = st.lists(
    st.sampled_from([b"\r\n", b"\n", b"\r", b"a", b":", b" ", b"\t", b"From ", b"\xff", b"\0"])
).map(b"".join)


def test_fields_are_slices_of_the_letter() -> None:
    letter = b"From: a@b\r\nSubject: one\r\n two\r\n\tthree\r\nX: \r\n\r\nbody\r\n\r\n"
    header = parse_header(letter)
    assert letter[header.end :] == b"body\r\n\r\n"
    assert [letter[field.start : field.end] for field in header.fields] == [
        b"From: a@b\r\n",
        b"Subject: one\r\n two\r\n\tthree\r\n",
        b"X: \r\n",
    ]
    subject = header.get(b"SUBJECT")
    assert subject is not None
    assert subject.raw_value == b" one\r\n two\r\n\tthree"
    assert subject.value == b"one two\tthree"


@given(OCTETS)
def test_the_fields_and_the_empty_line_are_the_whole_header(data: bytes) -> None:
    header = parse_header(data)
    assert header.end == find_header_end(data)
    joined = b"".join(data[field.start : field.end] for field in header.fields)
    assert data[: header.end] in (joined, joined + b"\n", joined + b"\r\n")
    for field in header.fields:
        assert data[field.start :].startswith(field.name)


@pytest.mark.parametrize(
    ("letter", "body"),
    [
        (b"", b""),
        (b"\r\nbody", b"body"),
        (b"\nbody", b"body"),
        (b"A: b", b""),
        (b"A: b\r\n", b""),
        (b"A: b\r\n\r\n", b""),
        (b"A: b\n\nbody\r\n\r\nx", b"body\r\n\r\nx"),
        (b"A: b\n\r\nbody", b"body"),
        (b"A: b\r\n\r\nx\n\ny", b"x\n\ny"),
        (b"A: b\n\nx\r\n\r\ny", b"x\r\n\r\ny"),
        (b"A: b\r\n \r\nC: d\r\n\r\nbody", b"body"),
        (b"A: b\r\r\nC: d\r\n\r\nbody", b"body"),
    ],
)
def test_the_header_ends_at_the_first_empty_line(letter: bytes, body: bytes) -> None:
    assert letter[parse_header(letter).end :] == body


def test_lines_that_are_no_field_are_kept_without_a_name() -> None:
    letter = b"From alice Mon Jan  1 2024\nno colon here\nSubject : x\n: y\n\n"
    header = parse_header(letter)
    assert [field.name for field in header.fields] == [b"", b"", b"Subject", b""]
    assert header.value(b"subject") == b"x"


def test_equal_names_are_all_found_in_order() -> None:
    header = parse_header(b"Received: 1\r\nreceived: 2\r\nRECEIVED: 3\r\n\r\n")
    assert [field.value for field in header.all(b"Received")] == [b"1", b"2", b"3"]
    assert header.all(b"missing") == ()
    assert header.get(b"missing") is None
    assert header.value(b"missing") is None


def test_a_header_past_the_limit_says_so_and_keeps_its_end() -> None:
    letter = b"To: a@b\r\n" * (FIELD_COUNT_LIMIT + 1) + b"\r\nbody"
    header = parse_header(letter)
    assert len(header.fields) == FIELD_COUNT_LIMIT
    assert not header.complete
    assert letter[header.end :] == b"body"
    assert parse_header(letter[9:]).complete


def test_a_header_inside_a_letter_begins_where_it_is_said_to() -> None:
    letter = b"A: 1\r\n\r\nB: 2\r\n\r\nbody"
    header = parse_header(letter, 8)
    assert (header.start, letter[header.end :]) == (8, b"body")
    assert header.value(b"b") == b"2"


def test_unfolding_keeps_the_white_space() -> None:
    assert unfold(b" a\r\n b\n\tc ") == b"a b\tc"
