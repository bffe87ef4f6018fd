"""The DATA writer: dot-stuffing and the one end, whatever the letter holds: RFC 5321 §4.5.2.

Bare CR and LF become CRLF. A letter that came by SMTP has none; one that came by IMAP's APPEND may, and sent
as it is it could smuggle a second letter into a lenient server (promises S02). Mending alters a signed body;
that costs a signature, where the other way costs security.
"""

from __future__ import annotations

import re

_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")


class LetterWriter:
    """Writes one letter, in chunks of any size."""

    def __init__(self) -> None:
        self._at_line_start = True
        self._held_cr = b""

    def write(self, chunk: bytes) -> bytes:
        """The wire form of the next chunk."""
        data = self._held_cr + chunk
        self._held_cr = b""
        if data.endswith(b"\r"):
            data, self._held_cr = data[:-1], b"\r"
        return self._stuff(data)

    def finish(self) -> bytes:
        """What ends the letter: its last line's CRLF if that is missing, and the dot."""
        tail = self._stuff(self._held_cr)
        self._held_cr = b""
        return tail + (b".\r\n" if self._at_line_start else b"\r\n.\r\n")

    def _stuff(self, data: bytes) -> bytes:
        if not data:
            return b""
        pair_count = data.count(b"\r\n")
        if data.count(b"\r") != pair_count or data.count(b"\n") != pair_count:
            data = _BARE.sub(b"\r\n", data)
        if b"\r\n." in data:
            data = data.replace(b"\r\n.", b"\r\n..")
        if self._at_line_start and data.startswith(b"."):
            data = b"." + data
        self._at_line_start = data.endswith(b"\r\n")
        return data
