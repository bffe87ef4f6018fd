"""Replies from a peer: whole ones, in pieces, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.smtp.replies import Reply
from mailserver_py.smtp.reply_reader import BrokenReply, ReplyReader


def read_all(data: bytes, size: int = 10_000) -> list[Reply | BrokenReply]:
    reader = ReplyReader()
    found: list[Reply | BrokenReply] = []
    for at in range(0, len(data), size):
        reader.feed(data[at : at + size])
        while (answer := reader.next_reply()) is not None:
            found.append(answer)
            if isinstance(answer, BrokenReply):
                return found
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_replies_are_whole_at_every_split(size: int) -> None:
    data = b"220 mx\r\n250-a\r\n250-b c\r\n250 d\r\n550-5.1.1 no\r\n550 5.1.1 such\r\n250\r\n"
    assert read_all(data, size) == [
        Reply(220, "", ("mx",)),
        Reply(250, "", ("a", "b c", "d")),
        Reply(550, "5.1.1", ("no", "such")),
        Reply(250, "", ("",)),
    ]


def test_an_enhanced_code_of_another_class_is_only_text() -> None:
    assert read_all(b"550 2.1.1 odd\r\n") == [Reply(550, "", ("2.1.1 odd",))]


def test_a_line_that_ends_in_lf_alone_is_borne() -> None:
    assert read_all(b"250-a\n250 b\n") == [Reply(250, "", ("a", "b"))]


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n", b"\r\n", b"99 x\r\n", b"150 x\r\n", b"650 x\r\n", b"2500 x\r\n", b"250x\r\n",
        b"250-a\r\n251 b\r\n", b"250-a\r\n" * 129, b"250 " + b"x" * 5000, b"HTTP/1.1 400 Bad Request\r\n",
    ],
)  # fmt: skip
def test_what_is_no_reply_is_a_value(data: bytes) -> None:
    assert isinstance(read_all(data)[-1], BrokenReply)


def test_text_is_bounded_and_printable_whatever_the_peer_sends() -> None:
    (answer,) = read_all(b"550 \x00\x1b[31m\xff\r" + b"x" * 3000 + b"\r\n")
    assert isinstance(answer, Reply)
    assert answer.text.isprintable()
    assert len(answer.text) <= 500


@given(
    st.sampled_from((250, 354, 421, 550)),
    st.lists(
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60), min_size=1, max_size=5
    ),
)
def test_a_reply_reads_back_as_it_is_written(code: int, lines: list[str]) -> None:
    enhanced = "" if code == 354 else f"{code // 100}.1.2"
    written = Reply(code, enhanced, tuple(f"x{line.strip()}" for line in lines))
    assert read_all(written.serialize()) == [written]


def test_a_reply_of_ours_cannot_be_broken_out_of() -> None:
    data = Reply(550, "5.0.0", ("a\r\n250 ok\r\nb\u2028\u00fc", "x" * 2000)).serialize()
    assert data.count(b"\r\n") == 2
    assert data.isascii()
    assert all(len(line) <= 510 for line in data.split(b"\r\n"))
