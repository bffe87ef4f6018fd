"""Where a letter ends, what of it is refused, and what the writer makes of any bytes."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.smtp.letter_reader import Defect, LetterReader
from mailserver_py.smtp.letter_writer import LetterWriter

END = b"\r\n.\r\n"
SMUGGLERS = [
    b"".join(items)
    for length in range(1, 6)
    for items in itertools.product((b"\r", b"\n", b".", b"\0", b"a"), repeat=length)
]


def read(data: bytes, sizes: int | list[int] = 0, limit_bytes: int = 10**9) -> tuple[bytes, LetterReader]:
    """Feeds until the end; `sizes`: octets of each chunk, 0: all at once."""
    reader = LetterReader(limit_bytes)
    out = b""
    at = 0
    steps = itertools.cycle(sizes if isinstance(sizes, list) else [sizes or len(data)])
    while not reader.ended and at < len(data):
        size = next(steps)
        out += reader.feed(data[at : at + size])
        at += size
    if reader.ended:
        reader.rest += data[at:]
    return out, reader


def reference(data: bytes) -> tuple[bytes, bytes, Defect | None]:
    """The rule, written the slow way: content, rest, defect."""
    framed = b"\r\n" + data
    end = framed.index(END)
    content, rest = framed[: end + 2], framed[end + 5 :]
    bare = re.sub(rb"\r\n", b"", content)
    if b"\r" in bare or b"\n" in bare:
        return b"", rest, Defect.BARE_LINE_ENDING
    if b"\0" in content:
        return b"", rest, Defect.NUL
    lines = content[2:].split(b"\r\n")
    return b"\r\n".join(line[1:] if line[:1] == b"." else line for line in lines), rest, None


def test_only_crlf_dot_crlf_ends_a_letter_whatever_comes_close() -> None:
    assert len(SMUGGLERS) == 3_905
    for smuggler in SMUGGLERS:
        data = b"one\r\ntwo" + smuggler + b"MAIL FROM:<x@y>\r\nthree" + END + b"QUIT\r\n"
        content, rest, defect = reference(data)
        for sizes in (0, 1, 2, 3):
            out, reader = read(data, sizes)
            assert reader.ended
            assert reader.rest == rest, smuggler
            assert (reader.defect is None) == (defect is None), smuggler
            if defect is None:
                assert out == content, smuggler
                assert reader.size_bytes == len(content)


def test_a_smuggler_at_the_very_start_is_no_exception() -> None:
    for smuggler in SMUGGLERS:
        data = smuggler + b"a" + END
        content, rest, defect = reference(data)
        for sizes in (0, 1):
            out, reader = read(data, sizes)
            assert (reader.ended, reader.rest) == (True, rest), smuggler
            assert (reader.defect is None) == (defect is None), smuggler
            assert defect is not None or out == content


@pytest.mark.parametrize("split", range(1, 40))
def test_dot_stuffing_is_undone_at_every_split(split: int) -> None:
    data = b"..\r\n...a\r\nb.\r\n..\r\n\r\n.c" + END
    out, reader = read(data, [split, 1000])
    assert out == b".\r\n..a\r\nb.\r\n.\r\n\r\nc\r\n"
    assert reader.rest == b""


def test_an_empty_letter_is_a_letter() -> None:
    out, reader = read(b".\r\nQUIT\r\n")
    assert (out, reader.rest, reader.size_bytes, reader.defect) == (b"", b"QUIT\r\n", 0, None)


def test_a_letter_over_the_limit_is_read_to_its_end_and_refused() -> None:
    out, reader = read(b"a" * 100 + END + b"NOOP", 7, limit_bytes=50)
    assert reader.defect is Defect.TOO_BIG
    assert reader.rest == b"NOOP"
    assert len(out) <= 50


def test_a_letter_of_exactly_the_limit_is_taken() -> None:
    _, reader = read(b"a" * 48 + END, limit_bytes=50)
    assert reader.defect is None
    assert reader.size_bytes == 50


def test_memory_stays_bounded_while_nothing_is_passed_on() -> None:
    reader = LetterReader(10)
    for _ in range(1000):
        assert len(reader.feed(b"\r\n" * 1000)) <= 10_000
    assert len(reader._held) <= 4


@given(st.binary(max_size=200), st.lists(st.integers(1, 7), min_size=1, max_size=5))
def test_the_writer_s_letter_is_read_back_with_line_ends_mended(data: bytes, sizes: list[int]) -> None:
    writer = LetterWriter()
    wire = b""
    at = 0
    for size in itertools.cycle(sizes):
        if at >= len(data):
            break
        wire += writer.write(data[at : at + size])
        at += size
    wire += writer.finish()
    mended = re.sub(rb"\r(?!\n)|(?<!\r)\n", b"\r\n", data)
    if mended and not mended.endswith(b"\r\n"):
        mended += b"\r\n"
    content, rest, defect = reference(wire)
    assert rest == b""
    assert defect in (None, Defect.NUL)
    if defect is None:
        assert content == mended
        assert read(wire, sizes)[0] == mended


def test_nothing_that_the_writer_emits_can_end_the_letter_early() -> None:
    for smuggler in SMUGGLERS:
        for size in (1, 2, 100):
            writer = LetterWriter()
            data = b"x" + smuggler + b"y"
            wire = b"".join(writer.write(data[at : at + size]) for at in range(0, len(data), size))
            wire += writer.finish()
            assert (b"\r\n" + wire).index(END) == len(wire) + 2 - len(END), smuggler
            bare = wire.replace(b"\r\n", b"")
            assert b"\r" not in bare
            assert b"\n" not in bare
