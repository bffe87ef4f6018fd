"""Six thousand real letters: the same structure as the standard library finds, and exact offsets."""

from __future__ import annotations

import email
from email.message import Message

import pytest

from mailserver_py.message.addresslist import parse_address_list
from mailserver_py.message.date import parse_date
from mailserver_py.message.mime import Part, parse_structure
from mailserver_py.message.text import search_text
from tests.corpus import letters, needs_corpus, raw_letters
from tests.message.test_mime import check

pytestmark = needs_corpus

DIFFERENT = {
    "spam-1/00467.5b733c506b7165424a0d4a298e67970f": "a multipart without a delimiter line",
    "spam-2/01214.973b4598b630a989967ff69b19f95d4a": "a multipart without a delimiter line",
    "spam-2/00204.4cf15f97b8ea08bfafab7d5091b8fbe7": "no semicolon behind text/plain",
}
"""Letters that we read otherwise than the standard library, knowingly."""


def ours(part: Part) -> object:
    name = f"{part.type.decode()}/{part.subtype.decode()}"
    inner = [part.message] if part.message is not None else part.parts
    return (name, *map(ours, inner))


def theirs(message: Message) -> object:
    name = message.get_content_type()
    # The standard library makes parts of the groups of a delivery status; RFC 3464 §2.1 does not.
    if not message.is_multipart() or name == "message/delivery-status":
        return (name,)
    return (name, *(theirs(inner) for inner in message.get_payload() if isinstance(inner, Message)))


def compare(every: int) -> int:
    count = 0
    for name, letter in letters(every):
        count += 1
        root = check(letter)
        if name not in DIFFERENT:
            assert ours(root) == theirs(email.message_from_bytes(letter)), name
        for text in search_text(letter, root):
            assert isinstance(text, str)
        for field in root.header.fields:
            assert letter[field.start : field.end].startswith(field.name)
            parse_date(field.raw_value)
            parse_address_list(field.raw_value)
    return count


def test_a_sample_has_the_structure_that_the_standard_library_finds() -> None:
    assert compare(every=40) > 100


@pytest.mark.long
def test_every_letter_has_the_structure_that_the_standard_library_finds() -> None:
    assert compare(every=1) > 6000


def test_letters_as_they_lie_there_are_read_too() -> None:
    for name, raw in raw_letters(every=40):
        root = check(raw)
        assert root.header.get(b"from") is not None or b"From " in raw[:5], name


def test_a_letter_cut_at_any_place_is_read() -> None:
    for _, letter in letters(every=400):
        for cut in range(0, min(len(letter), 6_000), 97):
            parse_structure(letter[:cut])
