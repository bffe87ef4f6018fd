"""The test letter."""

from __future__ import annotations

from mailserver_py.verify.marked import MARK, marked_letter
from mailserver_py.verify.tokens import new_token

from .fakes import AT

LETTER = marked_letter(token="mv00", sender="a@example.org", recipient="b@example.org", at=AT)


def test_the_letter_is_marked_and_carries_its_token_in_the_subject() -> None:
    assert f"{MARK}: mv00\r\n".encode() in LETTER.data
    assert b"Subject: Verification mv00\r\n" in LETTER.data


def test_no_line_is_longer_than_998_octets_and_all_end_in_crlf() -> None:
    assert b"\n" not in LETTER.data.replace(b"\r\n", b"")
    assert max(map(len, LETTER.data.split(b"\r\n"))) == 998


def test_the_body_has_what_transports_break() -> None:
    assert all(
        part in LETTER.data for part in (b"\r\n.\r\n", b"\r\nFrom a line", b"end   \r\n", "世界".encode())
    )


def test_tokens_are_words_that_need_no_quoting_and_do_not_repeat() -> None:
    tokens = {new_token() for _ in range(1000)}
    assert len(tokens) == 1000
    assert all(token.isalnum() and token.islower() for token in tokens)
