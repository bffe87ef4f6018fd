"""The DATA reader: finds the end of a letter, undoes dot-stuffing, refuses what smuggling is made of.

RFC 5321 §4.1.1.4 and §4.5.2. Only CRLF.CRLF ends a letter. A bare CR or LF (RFC 5321 §2.3.8) or a NUL (RFC
5322 §2.1; IMAP could not carry it) anywhere makes the whole letter refused, after its real end, so that no
server behind a more lenient one can be led to see two letters where the other saw one (CVE-2023-51764 and its
kin).

Works on whole chunks with `find`, `count` and `replace`; nothing is done per line. Lines of any length pass:
the 1,000 octets of §4.5.3.1.6 bind senders, and real letters exceed them.
"""

from __future__ import annotations

from enum import Enum

from . import replies

_END = b"\r\n.\r\n"


class Defect(Enum):
    """Why a letter will be refused at its end; the value is the reply."""

    BARE_LINE_ENDING = replies.BARE_LINE_ENDING
    NUL = replies.NUL_IN_LETTER
    TOO_BIG = replies.LETTER_TOO_BIG


class LetterReader:
    """Reads one letter. `feed` until `ended`; `rest` is then what follows the letter."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        # The line before the letter ended with CRLF: a first line "." ends the letter at once. These two
        # octets are not the letter's; `_skip_bytes` takes them out again.
        self._held = b"\r\n"
        self._skip_bytes = 2
        self.size_bytes = 0
        """Octets of the letter so far, dot-stuffing undone."""
        self.ended = False
        self.defect: Defect | None = None
        """The first defect seen; from then on nothing is handed out."""
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """The next octets of the letter, which can be none."""
        data = self._held + data
        end = data.find(_END)
        if end >= 0:
            self.ended = True
            self.rest = data[end + len(_END) :]
            self._held = b""
            return self._pass_on(data[: end + 2])
        # A CRLF and what may become a dot behind it stay here until it is known what they are, so that no
        # pair and no stuffed dot is ever split between two chunks.
        kept_bytes = _start_of_end_bytes(data)
        self._held = data[len(data) - kept_bytes :]
        return self._pass_on(data[: len(data) - kept_bytes])

    def _pass_on(self, data: bytes) -> bytes:
        if not data or self.defect is not None:
            return b""
        pair_count = data.count(b"\r\n")
        if data.count(b"\r") != pair_count or data.count(b"\n") != pair_count:
            self.defect = Defect.BARE_LINE_ENDING
            return b""
        if b"\0" in data:
            self.defect = Defect.NUL
            return b""
        if b"\r\n." in data:
            data = data.replace(b"\r\n.", b"\r\n")
        if self._skip_bytes:
            data = data[self._skip_bytes :]
            self._skip_bytes = 0
        self.size_bytes += len(data)
        if self.size_bytes > self._limit_bytes:
            self.defect = Defect.TOO_BIG
            return b""
        return data


def _start_of_end_bytes(data: bytes) -> int:
    """How many octets at the end of `data` could be the start of CRLF.CRLF."""
    for count in (4, 3, 2, 1):
        if data.endswith(_END[:count]):
            return count
    return 0
