"""PREVIEW: RFC 8970."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.imap.preview import PREVIEW_CHARS, derive_preview

from .letters import LETTERS

HTML = b"Content-Type: text/html; charset=utf-8\r\n\r\n"


@pytest.mark.parametrize(
    ("letter", "preview"),
    [
        (LETTERS["plain"], "Hello world, this is the body."),
        (LETTERS["multi"], "Hallo Welt"),
        (LETTERS["bare"], ""),
        (HTML + b"<style>p {}</style><p>Gr&uuml;&szlig;e<br>an alle", "Grüße an alle"),
        (HTML + b"<!-- hidden", ""),
        (b"\r\nOn Monday a wrote:\r\n> old\r\nnew\x07 words\r\n", "new words"),
        (b"Content-Type: image/png\r\n\r\nxx", ""),
        (b"\r\n" + b"word " * 1000, ("word " * 40).strip()),
    ],
    ids=["plain", "multipart", "empty", "html", "open-comment", "reply", "image", "long"],
)
def test_previews_are_short_text(letter: bytes, preview: str) -> None:
    assert derive_preview(letter) == preview


@given(st.binary(max_size=300))
def test_a_preview_is_short_and_on_one_line(body: bytes) -> None:
    for head in (b"\r\n", HTML):
        preview = derive_preview(head + body)
        assert len(preview) <= PREVIEW_CHARS and "\n" not in preview and "\0" not in preview


@pytest.mark.parametrize("piece", [b"<", b"<style>", b"<!--", b"&", b"<a "])
def test_hostile_markup_takes_no_time(piece: bytes) -> None:
    start = time.perf_counter()
    derive_preview(HTML + piece * (200_000 // len(piece)))
    assert time.perf_counter() - start < 1
