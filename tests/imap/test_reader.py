"""The command reader: incremental at every split, bounded whatever comes (promises S09, S10)."""

from __future__ import annotations

import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.imap.reader import (
    CommandRead,
    Event,
    Limits,
    LiteralAsked,
    MessageAsked,
    MessageData,
    Reader,
    Unreadable,
)

LIMITS = Limits(line_bytes=200, literal_bytes=100)


def streams(prefix: bytes) -> bool:
    return b"APPEND box " in prefix


def read(data: bytes, cuts: list[int], limits: Limits = LIMITS) -> list[Event]:
    """All events; letters are accepted, neighbouring pieces of one joined."""
    reader = Reader(limits, streams)
    events: list[Event] = []
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        reader.feed(data[start:end])
        while (event := reader.next_event()) is not None:
            if isinstance(event, MessageAsked):
                reader.accept_message()
            last = events[-1] if events else None
            if isinstance(event, MessageData) and isinstance(last, MessageData) and not last.last:
                events[-1] = MessageData(last.chunk + event.chunk, event.last)
            else:
                events.append(event)
            if isinstance(event, Unreadable) and event.fatal:
                return events
    return events


STREAMS = [
    b"a NOOP\r\nb NOOP\r\n",
    b"a LOGIN {5}\r\nalice {6+}\r\nsecret\r\nb NOOP\r\n",
    b"a APPEND box (\\Seen) {5}\r\nhello\r\nb NOOP\r\n",
    b"a APPEND box ~{5+}\r\n\0\r\n{9 ~{0+}\r\n {3}\r\nabc\r\nb NOOP\r\n",
    b"a NOOP\nb NOOP\r\n",
    b"a X {5}\r\n{3+}\r\r\n",
    b"a X {101}\r\nb NOOP\r\n",
    b"a X {60+}\r\n" + b"x" * 60 + b" {60+}\r\n" + b"y" * 60,
    b"a " + b"(" * 300 + b"\r\nb NOOP\r\n",
    b"a X {99999999999999999999}\r\nb NOOP\r\n",
    b"\r\n\r\n",
    b"a {}\r\nb {-1}\r\nc {1\r\nd {1}x\r\n",
]


@pytest.mark.parametrize("data", STREAMS, ids=range(len(STREAMS)))
def test_events_do_not_depend_on_the_splits(data: bytes) -> None:
    whole = read(data, [])
    assert read(data, list(range(1, len(data)))) == whole
    for cut in range(1, len(data)):
        assert read(data, [cut]) == whole


@given(
    st.lists(
        st.sampled_from(
            [b"a ", b"\r\n", b"\n", b"\r", b"{3}", b"{4+}", b"~{2}", b"APPEND box ", b"xyz", b"\0"]
        ),
        max_size=30,
    ),
    st.randoms(use_true_random=False),
)
def test_any_bytes_give_the_same_events_at_any_splits(pieces: list[bytes], chance: random.Random) -> None:
    data = b"".join(pieces)
    cuts = sorted(chance.sample(range(len(data) + 1), min(5, len(data))))
    assert read(data, cuts) == read(data, [])


def test_literals_stand_in_place_and_letters_do_not() -> None:
    assert read(STREAMS[1], []) == [
        LiteralAsked(),
        CommandRead(b"a LOGIN {5}\r\nalice {6+}\r\nsecret"),
        CommandRead(b"b NOOP"),
    ]
    assert read(STREAMS[2], []) == [
        MessageAsked(b"a APPEND box (\\Seen) {5}\r\n", 5, True, False),
        MessageData(b"hello", True),
        CommandRead(b"a APPEND box (\\Seen) {5}\r\n"),
        CommandRead(b"b NOOP"),
    ]


def test_a_bare_lf_ends_the_line_and_spoils_the_command() -> None:
    assert read(STREAMS[4], []) == [
        Unreadable(b"a NOOP", b"A line ends with CRLF", False),
        CommandRead(b"b NOOP"),
    ]


@pytest.mark.parametrize(
    ("data", "fatal"),
    [
        (b"a X {101}\r\n", False),
        (b"a X {101+}\r\n", True),
        (b"a X {4294967295}\r\n", False),
        (b"a X {99999999999999999999}\r\n", False),
        (b"a X {99999999999999999999+}\r\n", True),
        (b"a X {60+}\r\n" + b"x" * 60 + b" {60}\r\n", False),
        (b"(" * 201, True),
        (b"a " + b"x" * 150 + b" {10+}\r\n0123456789" + b"x" * 100, True),
    ],
    ids=[
        "waits",
        "does-not-wait",
        "4-GiB",
        "no-number",
        "no-number-plus",
        "sum-of-two",
        "parentheses",
        "both-lines",
    ],
)
def test_too_much_is_refused_at_once(data: bytes, fatal: bool) -> None:
    last = read(data, [])[-1]
    assert isinstance(last, Unreadable) and last.fatal is fatal


def test_memory_does_not_grow_with_what_comes() -> None:
    reader = Reader(Limits(), streams)
    tracemalloc.start()
    try:
        reader.feed(b"a APPEND box {10000000}\r\n")
        assert isinstance(reader.next_event(), MessageAsked)
        reader.accept_message()
        chunk = b"x" * 50_000
        for _ in range(200):
            reader.feed(chunk)
            while reader.next_event() is not None:
                pass
        reader.feed(b"\r\n")
        for _ in range(300):
            reader.feed(b"a NOOP\r\n" * 100)
            while reader.next_event() is not None:
                pass
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_refused_letter_that_comes_anyway_is_thrown_away() -> None:
    reader = Reader(LIMITS, streams)
    reader.feed(b"a APPEND box {5+}\r\nhello {5+}\r\nworld\r\nb NOOP\r\n")
    assert isinstance(reader.next_event(), MessageAsked)
    reader.refuse_message(waits=False)
    assert reader.next_event() == Unreadable(b"a APPEND box {5+}\r\n {5+}\r\n", b"", False)
    assert reader.next_event() == CommandRead(b"b NOOP")
