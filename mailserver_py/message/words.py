"""Text in header fields: RFC 2047 encoded words, raw UTF-8 (RFC 6532), and the undeclared 8-bit of old
senders.

`decode_text` never fails; `encode_text` writes what it reads back unchanged, and so that no foreign reader
finds a control character in it.
"""

from __future__ import annotations

import base64
import binascii
import re

from .charsets import decode_charset, decode_guess
from .header import unfold

ENCODED_WORD_BYTES = 75
"""Longest encoded word (RFC 2047 §2)."""

# The text may hold spaces (against §2): senders do it. It never holds a question mark, so every try is short.
_WORD = re.compile(rb"=\?([^?\s*]{1,60})(?:\*[^?\s]{0,60})?\?([bBqQ])\?([^?\r\n]*)\?=")
_PLAIN = re.compile(r"[!-~]+(?: [!-~]+)*")
_NOT_BASE64 = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
)


def decode_text(raw: bytes) -> str:
    """Unstructured text (or a phrase, or a comment) as people read it, unfolded."""
    value = unfold(raw)
    if b"=?" not in value:
        return decode_guess(value)
    pieces: list[str] = []
    run: list[bytes] = []
    run_charset = b""
    at = 0
    for match in _WORD.finditer(value):
        charset, encoding, text = match.groups()
        between = value[at : match.start()]
        at = match.end()
        data = binascii.a2b_qp(text, header=True) if encoding in b"qQ" else decode_base64(text)
        charset = charset.lower()
        if run and charset == run_charset and not between.strip():
            # Neighbours of one charset are joined first: senders split inside a character (against §5).
            run.append(data)
            continue
        if run:
            pieces.append(decode_charset(b"".join(run), run_charset))
            between = between if between.strip() else b""
        pieces.append(decode_guess(between))
        run, run_charset = [data], charset
    if run:
        pieces.append(decode_charset(b"".join(run), run_charset))
    pieces.append(decode_guess(value[at:]))
    return "".join(pieces)


def encode_text(text: str, used_bytes: int = 0) -> bytes:
    """`text` for an unstructured field or a phrase: itself when it is plain ASCII, else encoded words.

    Words are separated by CRLF SPACE, so that no line is longer than 76 octets (§2) when `used_bytes` stand
    before the first. Empty text stays empty.
    """
    if not text or (_PLAIN.fullmatch(text) and "=?" not in text):
        return text.encode("ascii")
    return encode_words(text, used_bytes)


def encode_words(text: str, used_bytes: int = 0) -> bytes:
    """As `encode_text`, but encoded words in any case."""
    return b"\r\n ".join(_encode_word(piece) for piece in _split(text, used_bytes))


def decode_base64(data: bytes) -> bytes:
    """What can be read of base64: up to the padding, which is its end (RFC 2045 §6.8; mailing lists add
    text behind it), other octets skipped, missing padding added, a lone last digit dropped."""
    end = data.find(b"=")
    digits = (data if end < 0 else data[:end]).translate(None, _NOT_BASE64)
    digits = digits[: len(digits) - 1] if len(digits) % 4 == 1 else digits
    return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))


def _split(text: str, used_bytes: int) -> list[str]:
    """Pieces whose base64 fits into one encoded word, never inside a character (§5)."""
    room_bytes = (ENCODED_WORD_BYTES - len("=?utf-8?B??=")) // 4 * 3
    # The first shares its line; but even behind a long name it holds one character.
    first_bytes = max(4, (ENCODED_WORD_BYTES + 1 - used_bytes - len("=?utf-8?B??=")) // 4 * 3)
    limit_bytes = min(room_bytes, first_bytes)
    pieces: list[str] = []
    start = size_bytes = 0
    for index, char in enumerate(text):
        char_bytes = len(char.encode("utf-8", "replace"))
        if size_bytes + char_bytes > limit_bytes:
            pieces.append(text[start:index])
            start, size_bytes, limit_bytes = index, 0, room_bytes
        size_bytes += char_bytes
    pieces.append(text[start:])
    return pieces


def _encode_word(piece: str) -> bytes:
    return b"=?utf-8?B?" + base64.b64encode(piece.encode("utf-8", "replace")) + b"?="
