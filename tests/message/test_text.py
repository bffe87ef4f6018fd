"""The decoded text of letters."""

from __future__ import annotations

import binascii

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.message.mime import parse_structure
from mailserver_py.message.text import decode_body, part_text, search_text


def text_of(encoding: str, charset: str, body: bytes) -> str:
    head = f"Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    letter = head.encode() + body
    return part_text(letter, parse_structure(letter))


UU = b"begin 644 x.txt\r\n" + binascii.b2a_uu(b"Hallo Welt") + b"`\nend\r\n"


@pytest.mark.parametrize(
    ("encoding", "charset", "body", "wanted"),
    [
        ("7bit", "us-ascii", b"abc\r\n", "abc\r\n"),
        ("8bit", "utf-8", "ä".encode(), "ä"),
        ("8bit", "utf-8", b"\xe4", "ä"),
        ("BASE64", "iso-8859-1", b"5\r\nA==\r\n", "ä"),
        ("base64", "utf-8", b"!!", ""),
        ("quoted-printable", "utf-8", b"=C3=A4=\r\n b =\r\n=ZZ", "ä b =ZZ"),
        ("x-uuencode", "utf-8", UU, "Hallo Welt"),
        ("x-uuencode", "utf-8", b"no begin", "no begin"),
        ("x-unknown", "utf-8", b"as it is", "as it is"),
        ("7bit", "x-nonsense", b"\xe4", "ä"),
        ("8bit", "utf-16", "ä".encode("utf-16-be"), "ä"),
    ],
)
def test_bodies_are_decoded(encoding: str, charset: str, body: bytes, wanted: str) -> None:
    assert text_of(encoding, charset, body) == wanted


@given(st.sampled_from(["base64", "quoted-printable", "x-uuencode", "8bit"]), st.binary(max_size=200))
def test_no_octets_raise(encoding: str, body: bytes) -> None:
    assert isinstance(text_of(encoding, "utf-8", body), str)
    assert isinstance(text_of(encoding, "utf-8", b"begin 644 x\n" + body), str)


def test_a_search_looks_into_every_header_and_text_and_nothing_else() -> None:
    letter = (
        b"Subject: =?utf-8?q?=C3=A4?=\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble"
        b"\r\n--b\r\nContent-Type: text/plain\r\n\r\nfirst"
        b"\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inside\r\n\r\nsecond"
        b"\r\n--b\r\nContent-Type: application/pdf; name=third.pdf\r\n\r\nhidden"
        b"\r\n--b--\r\n"
    )
    root = parse_structure(letter)
    found = "\n".join(search_text(letter, root))
    for word in ("Subject: ä", "first", "Subject: inside", "second", "third.pdf"):
        assert word in found
    assert found.index("first") < found.index("inside") < found.index("second") < found.index("third.pdf")
    assert "hidden" not in found
    without = "\n".join(search_text(letter, root, with_header=False))
    assert "ä" not in without
    assert "Subject: inside" in without


def test_a_body_is_decoded_where_it_lies() -> None:
    head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    letter = head + b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj\r\n--b--"
    assert decode_body(letter, parse_structure(letter).parts[0]) == b"abc"
