"""Mailbox names on the wire: modified UTF-7 and UTF-8."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.imap.cursor import Cursor
from mailserver_py.imap.names import parse_mailbox, parse_utf7, serialize_mailbox, serialize_utf7
from mailserver_py.imap.replies import Refused
from mailserver_py.mailstore.values import INBOX

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), min_size=1, max_size=40)


@given(texts, st.booleans())
def test_a_name_survives_the_wire(name: str, utf8: bool) -> None:
    name = unicodedata.normalize("NFC", name)
    cursor = Cursor(serialize_mailbox(name, utf8=utf8), utf8=utf8)
    expected = INBOX if name.upper() == INBOX else name
    assert cursor.mailbox() == expected
    cursor.end()


@given(texts)
def test_modified_utf7_is_seven_bit_and_comes_back(text: str) -> None:
    raw = serialize_utf7(text)
    assert raw.isascii() and all(0x20 <= octet < 0x7F for octet in raw)
    assert parse_utf7(raw) == text


@given(st.binary(max_size=30))
def test_there_is_one_way_to_write_a_name(raw: bytes) -> None:
    text = parse_utf7(raw)
    if text is not None:
        assert serialize_utf7(text) == raw


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
        (b"Entw&APw-rfe", "Entwürfe"),
        (b"&-", "&"),
        (b"iNbOx", "INBOX"),
        (b"&2D3eAA-", "\U0001f600"),
    ],
    ids=["the-rfc", "umlaut", "ampersand", "inbox", "beyond-the-bmp"],
)
def test_known_names(raw: bytes, name: str) -> None:
    assert parse_mailbox(raw, utf8=False) == name


@pytest.mark.parametrize(
    "raw",
    [
        b"&Jjo!",
        b"&U,BTFw-&ZeVnLIqe-",
        b"&AGE-",
        b"&",
        b"a&b",
        b"&AAA",
        b"&2D0-",
        b"caf\xc3\xa9",
        b"&&-",
        b"&A-",
    ],
    ids=[
        "no-shift-back",
        "superfluous-shift",
        "encoded-ascii",
        "lone",
        "bare",
        "open",
        "half-a-pair",
        "8-bit",
        "two",
        "bits-left",
    ],
)
def test_a_wrong_encoding_is_refused(raw: bytes) -> None:
    with pytest.raises(Refused):
        parse_mailbox(raw, utf8=False)


def test_a_denormalized_name_means_its_normal_form() -> None:
    assert parse_mailbox("Entwu\u0308rfe".encode(), utf8=True) == "Entwürfe"


def test_overlong_utf8_is_no_slash() -> None:
    with pytest.raises(Refused):
        parse_mailbox(b"a\xc0\xafb", utf8=True)
