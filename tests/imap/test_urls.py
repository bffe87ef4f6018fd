"""IMAP URLs: RFC 5092 §11, RFC 4469 §3, RFC 5550."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.imap.sections import Section, Text
from mailserver_py.imap.urls import MessageUrl, parse_url


@pytest.mark.parametrize(
    ("raw", "url"),
    [
        (b"/INBOX/;UID=20", MessageUrl("INBOX", 0, 20, Section())),
        (b"/inbox;UIDVALIDITY=385759045/;UID=20/;section=1.2", MessageUrl("INBOX", 385759045, 20, Section((1, 2)))),
        (b"/Sent%20mail/a/;uid=1/;SECTION=HEADER", MessageUrl("Sent mail/a", 0, 1, Section(text=Text.HEADER))),
        (b"/%E5%8F%B0/;UID=1", MessageUrl("\u53f0", 0, 1, Section())),
        (b";UID=20/;section=1", MessageUrl("", 0, 20, Section((1,)))),
        (b"/;UID=20", MessageUrl("", 0, 20, Section())),
        (b"/x/;UID=1/;PARTIAL=5.10", MessageUrl("x", 0, 1, Section(origin=5, length=10))),
        (b"/x/;UID=1/;SECTION=1/;PARTIAL=5", MessageUrl("x", 0, 1, Section((1,), origin=5, length=4294967295))),
        (
            b"/x/;UID=1/;SECTION=HEADER.FIELDS%20(DATE)",
            MessageUrl("x", 0, 1, Section(text=Text.FIELDS, fields=(b"DATE",))),
        ),
    ],
)  # fmt: skip
def test_a_relative_url_names_a_message_or_a_part(raw: bytes, url: MessageUrl) -> None:
    assert parse_url(raw) == url


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"/INBOX", b"/INBOX/;UID=0", b"imap://x/INBOX/;UID=1", b"/x/;UID=1/;SECTION=[", b"/x/;UID=1/;SECTION=1]",
        b"/%ff/;UID=1", b"/x/;UID=1?SUBJECT", b"/x/;UID=1/;PARTIAL=1.0", b"/x/;UID=99999999999", b"//;UID=1#f",
    ],
)  # fmt: skip
def test_anything_else_is_none(raw: bytes) -> None:
    assert parse_url(raw) is None or raw.startswith(b"imap:")


@given(st.text("/;UIDuid=0129.SECTIONPARTIAL%[]?#", max_size=60))
def test_no_text_is_a_fault(text: str) -> None:
    parse_url(text.encode())


def test_a_hostile_url_takes_no_time() -> None:
    start = time.perf_counter()
    for raw in (b"/" * 100_000, b"/x;UID=1" * 10_000, b"/x/;UID=1/;SECTION=" + b"1." * 50_000 + b";"):
        assert parse_url(raw) is None
    assert time.perf_counter() - start < 1
