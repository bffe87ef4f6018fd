"""Sequence sets: RFC 9051 §9."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.imap.sequence import MAX_NUMBER, STAR, SequenceSet, parse_sequence_set, serialize_numbers

numbers = st.integers(1, MAX_NUMBER) | st.just(STAR)
sets = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=8).map(
    lambda found: SequenceSet(tuple(found))
)


@given(sets)
def test_what_is_serialized_is_parsed_again(value: SequenceSet) -> None:
    data = value.serialize()
    assert parse_sequence_set(data) == (value, len(data))


@given(sets, st.integers(0, 40))
def test_resolving_gives_exactly_the_numbers_that_are_meant(value: SequenceSet, largest: int) -> None:
    small = SequenceSet(
        tuple(
            (low if low == STAR else low % 50 + 1, high if high == STAR else high % 50 + 1)
            for low, high in value.ranges
        )
    )
    meant = set()
    for low, high in small.ranges:
        ends = [largest if end == STAR else end for end in (low, high)]
        meant |= set(range(min(ends), max(ends) + 1))
    ranges = small.resolve(largest)
    assert [n for low, high in ranges for n in range(low, high + 1)] == sorted(meant)
    assert all(one[1] + 1 < two[0] for one, two in itertools.pairwise(ranges))


@given(st.lists(st.integers(1, 60), unique=True))
def test_serialized_numbers_come_back_in_order(values: list[int]) -> None:
    data = serialize_numbers(values)
    if not values:
        assert data == b""
        return
    parsed = parse_sequence_set(data)
    assert parsed is not None
    assert [n for low, high in parsed[0].ranges for n in range(low, high + 1)] == values


@pytest.mark.parametrize(
    "raw", [b"", b"0", b"1:", b":1", b"1,", b"4294967296", b"x", b"-1", b"1:0", b"**"[:0], b",1"]
)
def test_what_is_no_set_is_refused(raw: bytes) -> None:
    parsed = parse_sequence_set(raw)
    assert parsed is None or parsed[1] < len(raw)


def test_a_huge_range_is_not_expanded() -> None:
    parsed = parse_sequence_set(b"1:4294967295," * 4000 + b"1:*")
    assert parsed is not None
    start = time.perf_counter()
    assert parsed[0].resolve(MAX_NUMBER) == [(1, MAX_NUMBER)]
    assert time.perf_counter() - start < 1
