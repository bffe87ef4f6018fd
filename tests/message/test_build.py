"""Letters that we write: read back by ourselves and by a foreign parser, and nothing breaks out of them."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage, Message

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailserver_py.message.addresslist import mailboxes_of, parse_address_list
from mailserver_py.message.build import (
    Content,
    attachment,
    delivery_status,
    header_content,
    letter_content,
    multipart,
    report,
    serialize_letter,
    text_content,
)
from mailserver_py.message.fields import UnsafeValue, embeddable, mailbox_text, serialize_field
from mailserver_py.message.header import parse_header
from mailserver_py.message.mime import parse_structure
from mailserver_py.message.text import decode_body, part_text
from mailserver_py.message.words import decode_text

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
HOSTILE = [
    "a\rb",
    "a\nb",
    "a\r\nBcc: x@y",
    "a\0b",
    "a\x85b",
    "a\u2028b",
    "a\u2029b",
    "a\x1bb",
    "a\x7fb",
    "a\ud800b",
    "a\tb",
]
# Python 3.11.7's own parser unfolds at U+0085 and the like; every parser must see the same few fields.
LINE_ENDS = "\r\n\0\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("name", ["Subject", "From", "X-Trace", "Message-ID"])
def test_a_control_character_in_a_value_is_refused(name: str, value: str) -> None:
    with pytest.raises(UnsafeValue) as refused:
        serialize_letter([(name, value)], "x")
    assert value not in str(refused.value)


@pytest.mark.parametrize("value", HOSTILE)
def test_a_control_character_in_a_name_or_parameter_is_refused(value: str) -> None:
    with pytest.raises(UnsafeValue):
        mailbox_text(value, "a@b.example")
    with pytest.raises(UnsafeValue):
        mailbox_text("x", f"{value}@b.example")
    with pytest.raises(UnsafeValue):
        serialize_letter([], attachment(b"", "text/plain", value))
    with pytest.raises(UnsafeValue):
        serialize_letter([], attachment(b"", value, "x"))
    with pytest.raises(UnsafeValue):
        delivery_status([("Reporting-MTA", value)], [])
    assert serialize_field("Diagnostic-Code", embeddable(value)).count(b"\r\n") == 1


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nb", "ä", "x" * 77])
def test_a_field_name_that_no_name_may_be_is_refused(name: str) -> None:
    with pytest.raises(UnsafeValue):
        serialize_field(name, "x")


@pytest.mark.parametrize(
    ("name", "value"), [("To", "jörg@x"), ("To", "x" * 1000), ("Subject", "x" * 10_001), ("Message-ID", "ä")]
)
def test_what_cannot_stand_in_a_field_is_refused(name: str, value: str) -> None:
    with pytest.raises(UnsafeValue):
        serialize_field(name, value)


def test_raw_utf8_is_only_for_letters_that_may_have_it() -> None:
    assert serialize_field("To", "jörg@x", utf8=True) == "To: jörg@x\r\n".encode()


@given(TEXT)
@example("=?UTF-8?Q?=0A?=")
@example("x" * 500)
@example("two  spaces")
def test_any_subject_is_refused_or_read_back(subject: str) -> None:
    try:
        data = serialize_field("Subject", subject)
    except UnsafeValue:
        return
    assert all(len(line) <= 78 for line in data.split(b"\r\n"))
    header = parse_header(data + b"\r\n")
    assert len(header.fields) == 1
    assert decode_text(header.fields[0].raw_value) == subject
    foreign = email.message_from_bytes(data + b"\r\n", policy=email.policy.default)
    assert foreign.keys() == ["Subject"]


@given(TEXT, st.from_regex(r"[a-z0-9]{1,20}(\.[a-z]{1,9})?@[a-z]{1,20}\.example", fullmatch=True))
@example('a "quoted\\" name', "a@b.example")
@example("<x@y>, z@w", "a@b.example")
@example("=?UTF-8?Q?=0A?=", "a@b.example")
def test_any_display_name_is_refused_or_read_back(name: str, address: str) -> None:
    try:
        data = serialize_field("From", mailbox_text(name, address))
    except UnsafeValue:
        return
    (mailbox,) = mailboxes_of(parse_address_list(parse_header(data).fields[0].raw_value))
    assert mailbox.address == address
    # A phrase's words stand one space apart, unless they are encoded.
    assert mailbox.display_text.split() == name.split()


@given(st.text(max_size=200))
def test_a_text_is_read_back(text: str) -> None:
    letter = serialize_letter([("Subject", "x")], text)
    assert b"\n" not in letter.replace(b"\r\n", b"")
    assert b"\r" not in letter.replace(b"\r\n", b"")
    assert all(len(line) <= 998 for line in letter.split(b"\r\n"))
    assert letter.isascii()
    wanted = text.encode("utf-8", "replace").decode().replace("\r\n", "\n").replace("\r", "\n")
    read = part_text(letter, parse_structure(letter)).replace("\r\n", "\n")
    assert read in (wanted, wanted + "\n")


@given(
    st.binary(max_size=300), st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=60)
)
def test_an_attachment_is_read_back_by_a_foreign_parser(data: bytes, name: str) -> None:
    letter = serialize_letter(
        [("Subject", "x")],
        multipart("mixed", [text_content("see"), attachment(data, "application/pdf", name)]),
    )
    root = parse_structure(letter)
    assert [part.subtype for part in root.parts] == [b"plain", b"pdf"]
    assert decode_body(letter, root.parts[1]) == data
    foreign = email.message_from_bytes(letter, policy=email.policy.default)
    assert isinstance(foreign, EmailMessage)
    (attached,) = foreign.iter_attachments()
    assert attached.get_payload(decode=True) == data
    if name.strip() == name and "=?" not in name and "'" not in name and '"' not in name and "\\" not in name:
        assert (attached.get_filename() or "") == name


ORIGINAL = b"From: a@b\r\nSubject: original\r\n\r\nbody\r\n"


def bounce(original: Content) -> bytes:
    status = delivery_status(
        [("Reporting-MTA", "dns; mx.example")],
        [
            [("Final-Recipient", "rfc822; c@d"), ("Action", "failed"), ("Status", "5.1.1")],
            [("Final-Recipient", "rfc822; e@f"), ("Action", "failed"), ("Status", "5.2.2")],
        ],
    )
    return serialize_letter([("Subject", "undelivered")], report("It failed.\n", status, original))


def test_a_bounce_is_read_by_a_foreign_parser() -> None:
    foreign = email.message_from_bytes(bounce(letter_content(ORIGINAL)))
    assert foreign.get_content_type() == "multipart/report"
    assert foreign.get_param("report-type") == "delivery-status"
    payload = foreign.get_payload()
    assert isinstance(payload, list)
    text, status, original = payload
    assert isinstance(text, Message)
    assert text.get_payload() == "It failed.\r\n"
    assert isinstance(status, Message)
    groups = status.get_payload()
    assert [group["Final-Recipient"] for group in groups if isinstance(group, Message)][1:] == [
        "rfc822; c@d",
        "rfc822; e@f",
    ]
    assert isinstance(original, Message)
    inside = original.get_payload(0)
    assert isinstance(inside, Message)
    assert inside["Subject"] == "original"


def test_a_bounce_has_the_original_or_only_its_header() -> None:
    letter = bounce(letter_content(ORIGINAL))
    inside = parse_structure(letter).parts[2]
    assert letter[inside.body_start : inside.end] == ORIGINAL
    letter = bounce(header_content(ORIGINAL))
    inside = parse_structure(letter).parts[2]
    assert (inside.type, inside.subtype) == (b"text", b"rfc822-headers")
    assert letter[inside.body_start : inside.end] == b"From: a@b\r\nSubject: original\r\n\r\n"


@pytest.mark.parametrize(
    ("original", "media_type", "encoding"),
    [
        (ORIGINAL, "message/rfc822", "7bit"),
        (ORIGINAL + b"\xff\r\n", "message/rfc822", "8bit"),
        (ORIGINAL.replace(b"\r\n", b"\n"), "message/rfc822", "7bit"),
        (ORIGINAL + b"a\0b", "application/octet-stream", "base64"),
        (ORIGINAL + b"x" * 999, "application/octet-stream", "base64"),
    ],
)
def test_a_letter_inside_stays_as_it_is_where_it_can(original: bytes, media_type: str, encoding: str) -> None:
    content = letter_content(original)
    assert (content.media_type, content.encoding) == (media_type, encoding)
    outside = bounce(content)
    assert b"\n" not in outside.replace(b"\r\n", b"")
    assert parse_structure(outside).encoding == ("8bit" if encoding == "8bit" else "7bit").encode()


def test_a_boundary_inside_a_part_divides_nothing() -> None:
    first = multipart("mixed", [text_content("x")])
    boundary = dict(first.parameters)["boundary"]
    again = multipart("mixed", [Content("text/plain", f"--{boundary}\r\n".encode()), text_content("x")])
    letter = serialize_letter([], multipart("mixed", [again, first, again]))
    root = parse_structure(letter)
    assert [len(part.parts) for part in root.parts] == [2, 1, 2]
    assert all(end not in letter.decode() for end in LINE_ENDS[2:])
