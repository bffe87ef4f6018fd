"""Commands out of a byte stream: lines and literals, RFC 9051 §4.3, LITERAL+ of RFC 7888. No I/O, incremental, bounded.

Feed bytes, ask for events. A command comes out whole, literals in place, and is small by law (`Limits`). Only the
literal that the `streams` question claims (APPEND's letter) is handed out in pieces as it arrives and kept by nobody
here; in the command it leaves its announcement, `{n}` and CRLF, without octets.

A line ends with CRLF. A bare LF ends it too, but then the command is refused: what one reader takes for a line end and
another does not is how commands are smuggled.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

_ANNOUNCED = re.compile(rb"(~?)\{([0-9]+)(\+?)\}\Z")

LITERAL_DIGITS_MAX = 19
"""Digits of the largest number64; more is no number of ours."""


BEGINNING_BYTES = 160
"""What is kept of a command that cannot be taken: enough for its tag."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one command may be."""

    line_bytes: int = 65_536
    """All of a command but its literals. Clients send sequence sets of tens of kilobytes."""
    literal_bytes: int = 4_096
    """All literals of a command together, before login; RFC 7888's LITERAL- has the same figure."""


AFTER_LOGIN_LITERAL_BYTES = 131_072
"""All literals of a command together, once we know who it is; Cyrus has the same bound for a word."""


@dataclass(frozen=True, slots=True)
class CommandRead:
    """A whole command without its last CRLF."""

    data: bytes


@dataclass(frozen=True, slots=True)
class LiteralAsked:
    """The client waits for a continuation before it sends a literal; `reader.accept()` has been done."""


@dataclass(frozen=True, slots=True)
class MessageAsked:
    """A letter is announced: answer with `accept_message`, or `refuse_message`."""

    prefix: bytes
    """The command so far, the announcement included."""
    size_bytes: int
    waits: bool
    """The client sends nothing before a continuation."""
    binary: bool
    """It was a literal8."""


@dataclass(frozen=True, slots=True)
class MessageData:
    """Octets of the letter."""

    chunk: bytes
    last: bool


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The command cannot be taken."""

    data: bytes
    """Its beginning, so that the tag can be found."""
    reason: bytes
    fatal: bool
    """Where the next command begins is unknown or too far: the connection must end."""


Event = CommandRead | LiteralAsked | MessageAsked | MessageData | Unreadable


class _Mode(Enum):
    LINE = 0
    LITERAL = 1
    ASKED = 2
    MESSAGE = 3
    DISCARD = 4


class Reader:
    """Turns bytes into events; `next_event` gives None when it needs more."""

    __slots__ = (
        "_buffer",
        "_command",
        "_left",
        "_line_bytes",
        "_literal_bytes",
        "_mode",
        "_moved",
        "_scanned",
        "_spoilt",
        "_streams",
        "limits",
    )

    def __init__(self, limits: Limits, streams: Callable[[bytes], bool]) -> None:
        self.limits = limits
        self._streams = streams
        self._buffer = bytearray()
        self._command = bytearray()
        self._scanned = 0
        self._line_bytes = 0
        self._literal_bytes = 0
        self._left = 0
        self._mode = _Mode.LINE
        self._moved = False
        self._spoilt = b""

    def feed(self, data: bytes) -> None:
        """Takes what came from the network."""
        self._buffer += data

    @property
    def buffered_bytes(self) -> int:
        """Octets that no event has taken yet; at STARTTLS there must be none."""
        return len(self._buffer)

    @property
    def midway(self) -> bool:
        """True while a command has begun and not ended."""
        return bool(self._buffer or self._command) or self._mode is not _Mode.LINE

    def next_line(self) -> bytes | Unreadable | None:
        """A single line outside of commands (SASL responses, DONE), without its end."""
        line = self._take_line()
        self._spoilt = b""
        if line is None and len(self._buffer) > self.limits.line_bytes:
            return Unreadable(b"", b"The line is too long", fatal=True)
        return line

    def next_event(self) -> Event | None:
        """What the bytes so far amount to."""
        while True:
            self._moved = False
            event = self._step()
            if event is not None or not self._moved:
                return event

    def _step(self) -> Event | None:
        if self._mode is _Mode.LINE:
            return self._line()
        if self._mode is _Mode.LITERAL:
            return self._literal()
        if self._mode is _Mode.MESSAGE or self._mode is _Mode.DISCARD:
            return self._message()
        return None

    def _go_on(self, mode: _Mode) -> None:
        """The next step may find an event in what is there already."""
        self._mode = mode
        self._moved = True

    def accept_message(self) -> None:
        """The letter's octets come as `MessageData` events."""
        self._mode = _Mode.MESSAGE

    def refuse_message(self, *, waits: bool) -> None:
        """The letter is not wanted: nothing follows when the client waits, else its octets are thrown away."""
        if waits:
            self._reset()
        else:
            self._mode = _Mode.DISCARD

    def _reset(self) -> None:
        self._command = bytearray()
        self._line_bytes = self._literal_bytes = self._left = 0
        self._mode = _Mode.LINE
        self._spoilt = b""

    def _take_line(self) -> bytes | None:
        end = self._buffer.find(b"\n", self._scanned)
        if end < 0:
            self._scanned = len(self._buffer)
            return None
        if end and self._buffer[end - 1] == 13:  # CR
            line = bytes(self._buffer[: end - 1])
        else:
            line = bytes(self._buffer[:end])
            self._spoilt = self._spoilt or b"A line ends with CRLF"
        del self._buffer[: end + 1]
        self._scanned = 0
        return line

    def _line(self) -> Event | None:
        line = self._take_line()
        room = self.limits.line_bytes - self._line_bytes
        if len(line if line is not None else self._buffer) > room:
            beginning = bytes(self._command) or line or bytes(self._buffer)
            return Unreadable(beginning[:BEGINNING_BYTES], b"The command is too long", fatal=True)
        if line is None:
            return None
        self._line_bytes += len(line)
        announced = _ANNOUNCED.search(line[-(LITERAL_DIGITS_MAX * 2) :])
        self._command += line
        if announced is None:
            return self._complete()
        self._command += b"\r\n"
        return self._announce(announced)

    def _complete(self) -> Event:
        data, spoilt = bytes(self._command), self._spoilt
        self._reset()
        if spoilt:
            return Unreadable(data, b"" if spoilt == b"refused" else spoilt, fatal=False)
        return CommandRead(data)

    def _announce(self, announced: re.Match[bytes]) -> Event | None:
        waits = not announced[3]
        if len(announced[2]) > LITERAL_DIGITS_MAX:
            return self._too_large(b"The literal's size is no number", waits=waits)
        size_bytes = int(announced[2])
        self._left = size_bytes
        if self._spoilt:
            if waits:
                return self._complete()
            self._go_on(_Mode.DISCARD)
            return None
        prefix = bytes(self._command)
        if self._streams(prefix):
            self._mode = _Mode.ASKED
            return MessageAsked(prefix, size_bytes, waits, bool(announced[1]))
        if self._literal_bytes + size_bytes > self.limits.literal_bytes:
            return self._too_large(b"The literal is too large", waits=waits)
        self._literal_bytes += size_bytes
        self._go_on(_Mode.LITERAL)
        return LiteralAsked() if waits else None

    def _too_large(self, reason: bytes, *, waits: bool) -> Unreadable:
        """RFC 7888 §4: without a continuation the command is over; a literal that does not wait ends the connection."""
        data = bytes(self._command[:BEGINNING_BYTES])
        self._reset()
        return Unreadable(data, reason, fatal=not waits)

    def _literal(self) -> Event | None:
        chunk = self._buffer[: self._left]
        del self._buffer[: len(chunk)]
        self._scanned = 0
        self._command += chunk
        self._left -= len(chunk)
        if self._left:
            return None
        self._go_on(_Mode.LINE)
        return None

    def _message(self) -> Event | None:
        if not self._buffer and self._left:
            return None
        chunk = bytes(self._buffer[: self._left])
        del self._buffer[: len(chunk)]
        self._scanned = 0
        self._left -= len(chunk)
        discarded = self._mode is _Mode.DISCARD
        if not self._left:
            self._mode = _Mode.LINE
        if not discarded:
            return MessageData(chunk, last=not self._left)
        if self._left:
            return None
        self._spoilt = self._spoilt or b"refused"
        self._go_on(_Mode.LINE)
        return None
