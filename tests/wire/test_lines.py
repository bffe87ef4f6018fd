"""LineBuffer: the same lines however the octets were split, and what is no line is said once."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.wire.lines import BareLineEnding, LineBuffer, LineTooLong

LIMIT_BYTES = 8


def read_all(chunks: list[bytes], *, bare_allowed: bool = False) -> list[bytes | str]:
    buffer = LineBuffer(LIMIT_BYTES)
    seen: list[bytes | str] = []
    for chunk in chunks:
        buffer.feed(chunk)
        while True:
            try:
                line = buffer.next_line(bare_allowed=bare_allowed)
            except LineTooLong:
                seen.append("too long")
                continue
            except BareLineEnding:
                seen.append("bare")
                continue
            if line is None:
                break
            seen.append(line)
    return seen


STREAMS = {
    "lines": (b"one\r\ntwo\r\n\r\n", [b"one", b"two", b""]),
    "unfinished": (b"one\r\ntw", [b"one"]),
    "unfinished_cr": (b"one\r", []),
    "as_long_as_allowed": (b"12345678\r\nx\r\n", [b"12345678", b"x"]),
    "one_too_long": (b"123456789\r\nx\r\n", ["too long", b"x"]),
    "much_too_long": (b"1" * 100 + b"\r\nx\r\n", ["too long", b"x"]),
    "bare_lf": (b"one\ntwo\r\n", ["bare", b"two"]),
    "bare_cr": (b"one\rtwo\r\nx\r\n", ["bare", b"x"]),
    "two_crs": (b"one\r\r\nx\r\n", ["bare", b"x"]),
}


@pytest.mark.parametrize("name", STREAMS)
def test_lines_are_the_same_at_every_split(name: str) -> None:
    data, wanted = STREAMS[name]
    assert read_all([data]) == wanted
    assert read_all([data[i : i + 1] for i in range(len(data))]) == wanted
    for cut in range(len(data)):
        assert read_all([data[:cut], data[cut:]]) == wanted


@given(st.binary(max_size=60).map(lambda d: d.replace(b"\x00", b"\r").replace(b"\x01", b"\n")), st.data())
def test_any_octets_at_any_splits_give_the_same_lines(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    edges = [0, *cuts, len(stream)]
    chunks = [stream[a:b] for a, b in pairwise(edges)]
    assert read_all(chunks) == read_all([stream])
    assert read_all(chunks, bare_allowed=True) == read_all([stream], bare_allowed=True)


def test_a_bare_feed_ends_a_line_where_it_may() -> None:
    assert read_all([b"one\ntwo\r\na\rb\r\n"], bare_allowed=True) == [b"one", b"two", b"a\rb"]


def test_counted_octets_and_lines_alternate() -> None:
    buffer = LineBuffer(100)
    buffer.feed(b"A {5}\r\nab\r")
    assert buffer.next_line() == b"A {5}"
    assert buffer.take(5) is None
    assert len(buffer) == 3
    buffer.feed(b"\ncd\r\nB\r\nrest")
    assert buffer.take(5) == b"ab\r\nc"
    assert buffer.next_line() == b"d"
    assert buffer.next_line() == b"B"
    assert buffer.take_some(2) == b"re"
    assert buffer.take_all() == b"st"
    assert not buffer


def test_clear_forgets_an_over_long_line_too() -> None:
    buffer = LineBuffer(3)
    buffer.feed(b"12345")
    with pytest.raises(LineTooLong):
        buffer.next_line()
    buffer.clear()
    buffer.feed(b"new\r\n")
    assert buffer.next_line() == b"new"


def test_an_endless_line_is_thrown_away_as_it_comes() -> None:
    buffer = LineBuffer(100)
    buffer.feed(b"x" * 200)
    with pytest.raises(LineTooLong):
        buffer.next_line()
    for _ in range(100):
        buffer.feed(b"x" * 1000)
        assert buffer.next_line() is None
        assert len(buffer) == 0
    assert buffer.skipped_bytes == 100_200


def test_octets_that_were_searched_are_not_searched_again() -> None:
    buffer = LineBuffer(20_000_000)
    buffer.feed(b"x" * 16_000_000)
    assert buffer.next_line() is None
    started = time.process_time()
    for _ in range(1_000):
        buffer.feed(b"x")
        assert buffer.next_line() is None
    # Searching all of them each time costs more than half a second.
    assert time.process_time() - started < 0.1


def test_many_lines_in_one_read_cost_linear_time() -> None:
    buffer = LineBuffer(100)
    buffer.feed(b"NOOP\r\n" * 200_000)
    started = time.process_time()
    while buffer.next_line() is not None:
        pass
    assert time.process_time() - started < 2
