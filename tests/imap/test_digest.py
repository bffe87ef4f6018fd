"""Digests: what is stored of a letter is valid on the wire and leads back to its octets."""

from __future__ import annotations

import email
import email.policy
from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.imap.digest import derive
from mailserver_py.imap.envelope import parse_envelope
from mailserver_py.imap.parts import parse_parts, serialize_parts
from mailserver_py.imap.sections import Section, Text, extract
from mailserver_py.mailstore.values import Digest

from .letters import LETTERS


def elements(data: bytes) -> list[object]:
    """A foreign-made reading of parenthesized lists: nested lists of octets, numbers and None."""
    position = 0

    def one() -> object:
        nonlocal position
        char = data[position : position + 1]
        if char == b"(":
            position += 1
            found = []
            while data[position : position + 1] != b")":
                if data[position : position + 1] == b" ":
                    position += 1
                found.append(one())
            position += 1
            return found
        if char == b'"':
            position += 1
            value = bytearray()
            while (char := data[position : position + 1]) != b'"':
                assert char and char not in b"\r\n\0" and char.isascii()
                if char == b"\\":
                    position += 1
                    char = data[position : position + 1]
                    assert char in b'"\\'
                value += char
                position += 1
            position += 1
            return bytes(value)
        if char == b"{":
            end = data.index(b"}\r\n", position)
            size = int(data[position + 1 : end])
            position = end + 3 + size
            return data[end + 3 : position]
        end = position
        while end < len(data) and data[end : end + 1] not in b" ()":
            end += 1
        token, position = data[position:end], end
        assert token == b"NIL" or token.isdigit(), token
        return None if token == b"NIL" else int(token)

    value = one()
    assert position == len(data)
    assert isinstance(value, list)
    return value


def check(letter: bytes) -> Digest:
    digest = derive(letter)
    assert len(elements(digest.envelope)) == 10
    elements(digest.body)
    elements(digest.bodystructure)
    parse_envelope(digest.envelope)
    assert serialize_parts(parse_parts(digest.parts)) == digest.parts
    header = extract(letter, digest.header_bytes, digest.parts, Section(text=Text.HEADER))
    text = extract(letter, digest.header_bytes, digest.parts, Section(text=Text.TEXT))
    assert header is not None and text is not None
    assert header + text == letter
    return digest


@pytest.mark.parametrize("name", LETTERS)
def test_every_digest_is_well_formed(name: str) -> None:
    check(LETTERS[name])


HEADER = st.sampled_from(
    [
        b"From: a <b@c>",
        b"From:",
        b"To: x:y,z;",
        b'Cc: "\\"',
        b"Subject: \xff\x00",
        b"Subject: " + b"s" * 9000,
        b"Date: x",
        b"Content-Type: multipart/mixed; boundary=b",
        b"Content-Type: message/rfc822",
        b'Content-Type: text/"',
        b"Content-Disposition: attachment; filename*0*=utf-8''%41; filename*1=b",
        b"Content-Language: de, en",
        b"Content-Transfer-Encoding: base64",
        b" folded",
        b"nonsense",
        b"Content-Description: =?x?",
        b"Reply-To: (a",
    ]
)
LINE = HEADER | st.sampled_from([b"", b"--b", b"--b--", b"text", b"."])


@given(st.lists(LINE, max_size=25).map(b"\r\n".join))
def test_any_letter_has_a_well_formed_digest(letter: bytes) -> None:
    check(letter)


@given(st.binary(max_size=200))
def test_any_octets_have_a_well_formed_digest(letter: bytes) -> None:
    check(letter)


def leaves(message: Message, path: tuple[int, ...] = ()) -> list[tuple[tuple[int, ...], Message]]:
    """Section numbers of all leaves, as the standard library sees them."""
    if message.get_content_type() == "message/rfc822":
        inner = message.get_payload(0)
        assert isinstance(inner, Message)
        return leaves(inner, path) if inner.is_multipart() else [((*path, 1), inner)]
    if message.is_multipart():
        found = []
        for number, part in enumerate(message.get_payload(), 1):
            assert isinstance(part, Message)
            found.extend(leaves(part, (*path, number)))
        return found
    return [(path or (1,), message)]


def test_section_numbers_agree_with_the_standard_library() -> None:
    letter = LETTERS["multi"]
    digest = derive(letter)
    found = leaves(email.message_from_bytes(letter, policy=email.policy.compat32))
    assert [path for path, _ in found] == [(1,), (2,), (3, 1), (3, 2)]
    for path, part in found:
        body = extract(letter, digest.header_bytes, digest.parts, Section(path))
        payload = part.get_payload()
        assert body is not None and isinstance(payload, str)
        assert body.replace(b"\r\n", b"\n") == payload.encode().replace(b"\r\n", b"\n")


def test_a_hundred_letters_inside_each_other_are_digested() -> None:
    letter = b"Content-Type: message/rfc822\r\n\r\n" * 5000 + b"Subject: inner\r\n\r\nx"
    check(letter)


def test_a_parameter_in_pieces_becomes_one() -> None:
    plain = derive(b"Content-Type: text/plain; name*0=abc; name*1=def\r\n\r\n")
    assert b'("name" "abcdef")' in plain.body
    encoded = derive(b"Content-Type: text/plain; name*0*=utf-8''a%20; name*1=b\r\n\r\n")
    assert b'("name*" "utf-8\'\'a%20b")' in encoded.body
