"""A letter on its way to a client: RFC 1939 §3's dot-stuffing, and TOP's lines."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailserver_py.message.header import find_header_end

PIECE_BYTES = 65_536
"""How much is stuffed at once: enough to make the calls cheap, little beside a letter."""

_BARE_FEED = re.compile(rb"(?<!\r)\n")


def top(letter: bytes, line_count: int) -> bytes:
    """The header, the empty line, and the first `line_count` lines of the body (RFC 1939 §7)."""
    end = find_header_end(letter)
    for _ in range(line_count):
        feed = letter.find(b"\n", end)
        if feed < 0:
            return letter
        end = feed + 1
    return letter[:end]


def serialize_pieces(letter: bytes) -> Iterator[bytes]:
    """The multi-line answer behind its first line, its final dot included, in pieces."""
    writer = LetterWriter()
    for at in range(0, len(letter), PIECE_BYTES):
        yield writer.write(letter[at : at + PIECE_BYTES])
    yield writer.finish()


class LetterWriter:
    """Stuffs dots, however the letter is cut, and ends every line in CRLF.

    A bare LF (letters that came by APPEND can have them) becomes CRLF: some clients take it for a line end
    and some do not, and a dot behind one would end the letter for the first kind.
    """

    def __init__(self) -> None:
        self._last = b"\n"

    def write(self, chunk: bytes) -> bytes:
        """The next octets, as they are sent."""
        if not chunk:
            return b""
        before = self._last
        self._last = chunk[-1:]
        if chunk.count(b"\n") != chunk.count(b"\r\n"):
            # The lookbehind must see a CR that came with the chunk before.
            glue = b"\r" if before == b"\r" else b""
            chunk = _BARE_FEED.sub(b"\r\n", glue + chunk)[len(glue) :]
        chunk = chunk.replace(b"\n.", b"\n..")
        return b"." + chunk if before == b"\n" and chunk.startswith(b".") else chunk

    def finish(self) -> bytes:
        """The end: the last line's CRLF if it lacks one, then the dot."""
        if self._last == b"\n":
            return b".\r\n"
        return (b"\n" if self._last == b"\r" else b"\r\n") + b".\r\n"
