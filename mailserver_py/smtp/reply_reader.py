"""Bytes to replies, for the client: RFC 5321 §4.2. What is no reply becomes a value, and text stays
bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailserver_py.wire.lines import LineBuffer, LineTooLong

from .limits import REPLY_LINE_BYTES, REPLY_LINE_COUNT
from .replies import MAX_TEXT_BYTES, Reply

_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: +|$)", re.ASCII)


@dataclass(frozen=True, slots=True)
class BrokenReply:
    """The peer does not speak SMTP; the connection is of no more use."""

    why: str


class ReplyReader:
    """Collects lines until a reply is whole."""

    def __init__(self) -> None:
        self._in = LineBuffer(REPLY_LINE_BYTES)
        self._lines: list[str] = []
        self._code = 0

    def __len__(self) -> int:
        """Octets that wait, and lines of an unfinished reply."""
        return len(self._in) + len(self._lines)

    def feed(self, data: bytes) -> None:
        """Takes more bytes."""
        self._in.feed(data)

    def clear(self) -> None:
        """Forgets everything that came."""
        self._in.clear()
        self._lines.clear()

    def next_reply(self) -> Reply | BrokenReply | None:
        """The next whole reply; None when more bytes are needed."""
        while True:
            try:
                # Servers that end lines with LF alone exist, and nothing can be smuggled into a reply.
                line = self._in.next_line(bare_allowed=True)
            except LineTooLong:
                return BrokenReply("a reply line is too long")
            if line is None:
                return None
            match = _LINE.fullmatch(line)
            if match is None:
                return BrokenReply("a reply without a reply code")
            code = int(match[1])
            if self._lines and code != self._code:
                return BrokenReply("a reply with two codes")
            if len(self._lines) >= REPLY_LINE_COUNT:
                return BrokenReply("a reply with too many lines")
            self._code = code
            self._lines.append(_clean(match[3] or b""))
            if match[2] != b"-":
                lines, self._lines = self._lines, []
                return _reply(code, lines)


def _clean(raw: bytes) -> str:
    """Safe to log and to put into a bounce; UTF-8 as of RFC 6531 §3.5."""
    text = raw[:MAX_TEXT_BYTES].decode("utf-8", "replace")
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)


def _reply(code: int, lines: list[str]) -> Reply:
    """Takes the enhanced code off the lines (RFC 2034 §4); one of another class than the code's is only
    text.
    """
    match = _ENHANCED.match(lines[-1])
    if match is None or match[1][0] != str(code)[0]:
        return Reply(code, "", tuple(lines))
    enhanced = match[1]
    return Reply(code, enhanced, tuple(line.removeprefix(enhanced).lstrip() for line in lines))
