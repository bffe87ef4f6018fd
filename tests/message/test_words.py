"""Text of header fields: encoded words, raw octets, and the way back."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.message.charsets import codec_name, decode_charset
from mailserver_py.message.words import (
    ENCODED_WORD_BYTES,
    decode_base64,
    decode_text,
    encode_text,
    encode_words,
)

READ = {
    "plain": (b" just\r\n text ", "just text"),
    "q": (b"=?iso-8859-1?Q?J=F6rg_=5F?=", "Jörg _"),
    "b": (b"=?utf-8?b?SsO2cmc=?=", "Jörg"),
    "b without padding": (b"=?utf-8?b?SsO2cmc?=", "Jörg"),
    "language (RFC 2231 §5)": (b"=?us-ascii*en-US?q?Keith?=", "Keith"),
    "neighbours join": (b"=?utf-8?q?a?=\r\n =?utf-8?q?b?=", "ab"),
    "neighbours of two charsets join": (b"=?utf-8?q?=C3=B6?= =?iso-8859-1?q?=F6?=", "öö"),
    "split inside a character": (b"=?utf-8?q?=C3?= =?utf-8?q?=B6?=", "ö"),
    "text between": (b"a =?utf-8?q?b?= c =?utf-8?q?d?= e", "a b c d e"),
    "spaces inside": (b"=?utf-8?q?a b?=", "a b"),
    "inside a word": (b"x=?utf-8?q?=C3=B6?=y", "xöy"),
    "broken q": (b"=?utf-8?q?a=ZZ=4?=", "a=ZZ=4"),
    "unknown charset": (b"=?x-nonsense?q?=C3=B6?=", "ö"),
    "unknown encoding": (b"=?utf-8?z?abc?=", "=?utf-8?z?abc?="),
    "never closed": (b"=?utf-8?q?abc", "=?utf-8?q?abc"),
    "raw utf-8": ("Grüße".encode(), "Grüße"),
    "raw latin": ("Grüße".encode("latin-1"), "Grüße"),
    "windows quotes as latin-1": (b"=?iso-8859-1?q?=93x=94?=", "“x”"),
    "japanese": (b"=?iso-2022-jp?b?GyRCRnxLXBsoQg==?=", "日本"),
    "chinese by an old name": (b"=?gb2312?b?xOO6ww==?=", "你好"),
    "koi8": (b"=?koi8-r?b?8NLJ18XU?=", "Привет"),
}


@pytest.mark.parametrize("name", READ)
def test_words_are_read_as_they_are_meant(name: str) -> None:
    raw, wanted = READ[name]
    assert decode_text(raw) == wanted


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@given(TEXT, st.integers(0, 70))
def test_what_is_encoded_is_read_back(text: str, used_bytes: int) -> None:
    data = encode_text(text, used_bytes)
    assert data.isascii()
    assert decode_text(data) == text
    assert decode_text(encode_words(text, used_bytes)) == text


@given(TEXT)
def test_encoded_text_has_nothing_to_break_out_of(text: str) -> None:
    data = encode_text(text)
    assert all(0x20 <= octet < 0x7F for octet in data.replace(b"\r\n ", b""))
    if data.startswith(b"=?"):
        assert all(len(word) <= ENCODED_WORD_BYTES for word in data.split(b"\r\n "))


def test_what_looks_like_an_encoded_word_is_encoded() -> None:
    assert decode_text(encode_text("=?UTF-8?Q?=0A?=")) == "=?UTF-8?Q?=0A?="


PIECES = [b"=?", b"utf-8", b"?q?", b"?B?", b"?=", b" ", b"=0A", b"\xff", b"\r\n "]


@given(st.lists(st.sampled_from(PIECES)).map(b"".join))
def test_no_octets_raise(raw: bytes) -> None:
    decode_text(raw)


@given(st.binary(max_size=50), st.text(max_size=20))
def test_no_charset_raises(data: bytes, name: str) -> None:
    decode_charset(data, name)


@pytest.mark.parametrize(
    "name",
    [
        "idna",
        "punycode",
        "unicode_escape",
        "raw_unicode_escape",
        "undefined",
        "hex",
        "zlib",
        "rot13",
        "mbcs",
        "../x",
    ],
)
def test_codecs_that_are_no_charsets_are_unknown(name: str) -> None:
    assert codec_name(name) is None


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        (b"UTF-8", "utf_8"), (b"utf8", "utf_8"), (b"us-ascii", "utf_8"), (b'"utf-8"', "utf_8"),
        (b"ISO-8859-1", "cp1252"), (b"latin1", "cp1252"), (b"iso8859-15", "iso8859_15"), (b"ISO_8859-2", "iso8859_2"),
        (b"windows-1251", "cp1251"), (b"cp1251", "cp1251"), (b"KOI8-R", "koi8_r"), (b"GBK", "gb18030"),
        (b"Shift_JIS", "cp932"), (b"euc-kr", "cp949"), (b"Big5", "big5"), (b"ks_c_5601-1987", "cp949"),
        (b"iso-2022-jp", "iso2022_jp"), (b"utf-16", "utf_16"),
    ],
)  # fmt: skip
def test_charsets_are_known_by_the_names_that_mail_uses(name: bytes, codec: str) -> None:
    assert codec_name(name) == codec


@given(st.binary(max_size=100))
def test_base64_of_any_kind_never_raises(data: bytes) -> None:
    decode_base64(data)


def test_base64_ends_at_its_padding() -> None:
    assert decode_base64(b"YWJj\r\nZA==\r\n___\r\nlist footer") == b"abcd"


@pytest.mark.parametrize(
    "charset", ["iso8859-7", "utf-7", "tis-620", "iso-2022-jp", "shift_jis", "x-unknown"]
)
def test_a_long_text_that_is_no_text_of_its_charset_costs_little(charset: str) -> None:
    started = time.process_time()
    for octet in (b"\xff", b"\x81"):
        assert len(decode_charset(octet * 2_000_000, charset)) >= 900_000
    # With a replacement for each octet it is more than a second.
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(("charset", "char"), [("utf-8", "ä"), ("shift_jis", "日"), ("koi8-r", "я")])
def test_a_long_text_with_a_broken_octet_is_read_but_for_it(charset: str, char: str) -> None:
    octets = char.encode(charset) * 50_000
    assert decode_charset(octets + b"\xff" + octets, charset).count(char) >= 99_999


def test_utf8_that_was_cut_off_is_still_utf8() -> None:
    assert decode_text("Grüße äöü".encode()[:-1]) == "Grüße äö\ufffd"
