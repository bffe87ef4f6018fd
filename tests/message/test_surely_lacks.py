"""What `surely_lacks` rules out must never be found by reading the letter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.message.mime import parse_structure
from mailserver_py.message.text import search_text, surely_lacks

from ..corpus import letters, needs_corpus

PLAIN = b'Subject: Hello\r\nContent-Type: text/plain; charset="us-ascii"\r\n\r\nA plain body.\r\n'


def found(letter: bytes, text: str) -> bool:
    return any(text.lower() in piece.lower() for piece in search_text(letter, parse_structure(letter)))


def test_a_plain_letter_without_the_text_is_ruled_out() -> None:
    assert surely_lacks(PLAIN, "absent")


@pytest.mark.parametrize(
    ("letter", "text"),
    [
        pytest.param(PLAIN, "HELLO", id="it is there in another case"),
        pytest.param(PLAIN, "plain body", id="white space may be folded"),
        pytest.param(PLAIN, "", id="everything holds the empty text"),
        pytest.param(PLAIN, "é", id="not ASCII"),
        pytest.param(PLAIN.replace(b"Hello", b"=?utf-8?q?abs=65nt?="), "absent", id="an encoded word"),
        pytest.param(PLAIN.replace(b"A ", "é".encode()), "absent", id="octets above ASCII"),
        pytest.param(PLAIN.replace(b"us-ascii", b"utf-7"), "absent", id="a charset that hides letters"),
        pytest.param(
            PLAIN.replace(b"Subject", b"Content-Transfer-Encoding: quoted-printable\r\nSubject"),
            "absent",
            id="QP",
        ),
        pytest.param(PLAIN.replace(b"Subject", b"Content-Transfer-Encoding: x-uue\r\nSubject"), "a", id="uu"),
    ],
)
def test_what_octets_cannot_show_is_left_to_reading(letter: bytes, text: str) -> None:
    assert not surely_lacks(letter, text)


ODDITIES = (
    "=?utf-8?b?YQ==?=",
    "charset=",
    "utf-7",
    "base64",
    "\r\n ",
    "\r\n",
    "content-type: text/plain;",
    "a",
    "B",
)


@given(st.lists(st.sampled_from(ODDITIES), max_size=12), st.sampled_from(("a", "ab", "ba", "b:")))
def test_what_is_ruled_out_is_not_found(pieces: list[str], text: str) -> None:
    letter = "".join(pieces).encode()
    if surely_lacks(letter, text):
        assert not found(letter, text)


@needs_corpus
@pytest.mark.parametrize("text", ["linux", "http://www", "xylophonologist"])
def test_real_letters_agree(text: str) -> None:
    for name, letter in letters(every=40):
        if surely_lacks(letter, text):
            assert not found(letter, text), name
