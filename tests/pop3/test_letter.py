"""Letters on their way out: dots, line ends and TOP, at every split."""

from __future__ import annotations

import io
import poplib
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.pop3.letter import PIECE_BYTES, LetterWriter, serialize_pieces, top

OCTETS = st.lists(st.sampled_from([b"\r\n", b"\n", b"\r", b".", b"a", b"\r\n.\r\n", b"\xff"])).map(b"".join)


def written(chunks: list[bytes]) -> bytes:
    writer = LetterWriter()
    return b"".join(map(writer.write, chunks)) + writer.finish()


def read(wire: bytes) -> bytes:
    """As a strict client does: RFC 1939 §3."""
    end = wire.find(b"\r\n.\r\n")
    if wire.startswith(b".\r\n"):
        return b""
    assert end == len(wire) - 5, "the letter must end once, at its end"
    lines = wire[: end + 2].split(b"\r\n")[:-1]
    return b"".join(line.removeprefix(b".") + b"\r\n" for line in lines)


def clean(letter: bytes) -> bytes:
    """What a letter is to a client: every line ends in CRLF."""
    whole = letter.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    if not whole or whole.endswith(b"\r\n"):
        return whole
    return whole + (b"\n" if whole.endswith(b"\r") else b"\r\n")


LETTERS = [
    b"", b".", b"..", b".\r\n", b"a\r\n.\r\nb\r\n", b"a\r\n..\r\n", b"a", b"a\r\n", b"\r\n.", b"a\n.\nb\n", b"a\r.\rb",
    b"a\r\n.b\r\n.", b"\n\n.\n", b"\r\r\n.\r\n",
]  # fmt: skip


@pytest.mark.parametrize("letter", LETTERS)
def test_a_letter_arrives_whole_at_every_split(letter: bytes) -> None:
    assert read(written([letter])) == clean(letter)
    assert written([letter[i : i + 1] for i in range(len(letter))]) == written([letter])
    for cut in range(len(letter)):
        assert written([letter[:cut], letter[cut:]]) == written([letter])


@given(OCTETS, st.lists(st.integers(0, 60), max_size=4))
def test_any_letter_arrives_whole_at_any_splits(letter: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(letter)) for cut in cuts), len(letter)]
    wire = written([letter[a:b] for a, b in pairwise(edges)])
    assert read(wire) == clean(letter)


@given(OCTETS)
def test_a_client_that_ends_lines_at_bare_feeds_reads_the_same(letter: bytes) -> None:
    # The standard library's client on a file instead of a socket.
    client: Any = poplib.POP3.__new__(poplib.POP3)
    client.file = io.BytesIO(b"+OK\r\n" + written([letter]))
    client._debugging = 0
    _, lines, _ = client._getlongresp()
    assert b"".join(line + b"\r\n" for line in lines) == clean(letter)


def test_large_letters_are_cut_and_arrive_whole() -> None:
    letter = (b".dot\r\n" + b"x" * 72 + b"\r\n") * 3_000
    pieces = list(serialize_pieces(letter))
    assert max(map(len, pieces)) < PIECE_BYTES * 1.2
    assert read(b"".join(pieces)) == letter


@pytest.mark.parametrize(
    ("line_count", "wanted"),
    [
        (0, b"A: b\r\n\r\n"),
        (1, b"A: b\r\n\r\none\r\n"),
        (2, b"A: b\r\n\r\none\r\n\r\n"),
        (9, b"A: b\r\n\r\none\r\n\r\ntwo"),
    ],
)
def test_top_is_the_header_and_the_first_lines(line_count: int, wanted: bytes) -> None:
    assert top(b"A: b\r\n\r\none\r\n\r\ntwo", line_count) == wanted


def test_top_of_a_header_alone_is_the_header() -> None:
    assert top(b"A: b\r\n", 5) == b"A: b\r\n"
