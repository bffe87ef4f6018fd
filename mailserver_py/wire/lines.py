"""A buffer that gives lines and counted octets back, in linear time however the bytes were split.

CRLF ends a line. A line that ends in LF alone, or has a CR inside, is reported and swallowed as one line,
so that the next command starts where the peer thinks it does (what one side calls a line and the other
does not is how commands are smuggled).
"""

from __future__ import annotations

from mailserver_py.errors import PeerError

_COMPACT_BYTES = 65_536
"""Consumed octets in front are dropped when there are this many: one memory move per 64 KiB read."""


class LineTooLong(PeerError):
    """More octets than the limit without a line end; the rest of that line is thrown away as it comes."""


class BareLineEnding(PeerError):
    """A CR or LF that is not part of CRLF; its line is consumed."""


class LineBuffer:
    """Bytes in by `feed`, lines out by `next_line`, literals out by `take`.

    `limit_bytes` is the longest line, its CRLF not counted.
    """

    __slots__ = ("_data", "_scanned", "_skipping", "_start", "limit_bytes", "skipped_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.skipped_bytes = 0
        """Octets thrown away as parts of over-long lines, so that an owner can end a flood."""
        self._data = bytearray()
        self._start = 0
        self._scanned = 0
        self._skipping = False

    def __len__(self) -> int:
        """Octets that were fed and not yet taken."""
        return len(self._data) - self._start

    def feed(self, data: bytes) -> None:
        """Adds what came."""
        if self._start > _COMPACT_BYTES or self._start == len(self._data):
            del self._data[: self._start]
            self._scanned = max(0, self._scanned - self._start)
            self._start = 0
        self._data += data

    def next_line(self, *, bare_allowed: bool = False) -> bytes | None:
        """The next line without its end, or None when it is not complete.

        With `bare_allowed` LF alone ends a line too and a CR inside is an octet like others; else both raise
        BareLineEnding. Raises LineTooLong, once per line.
        """
        if self._skipping and not self._skip():
            return None
        end = self._data.find(b"\n", max(self._start, self._scanned))
        if end < 0:
            self._scanned = len(self._data)
            # One octet more may be the CR of a line that is exactly as long as allowed.
            if len(self) > self.limit_bytes + 1:
                self._skipping = True
                self._skip()
                raise LineTooLong
            return None
        line = bytes(self._data[self._start : end])
        self._start = self._scanned = end + 1
        ended = line.endswith(b"\r")
        if ended:
            line = line[:-1]
        if len(line) > self.limit_bytes:
            self.skipped_bytes += len(line)
            raise LineTooLong
        if not bare_allowed and (not ended or b"\r" in line):
            raise BareLineEnding
        return line

    def take(self, count_bytes: int) -> bytes | None:
        """Exactly `count_bytes` octets, or None while there are fewer."""
        return self.take_some(count_bytes) if len(self) >= count_bytes else None

    def take_some(self, limit_bytes: int) -> bytes:
        """What there is, at most `limit_bytes`; for literals that are streamed."""
        end = min(self._start + limit_bytes, len(self._data))
        data = bytes(self._data[self._start : end])
        self._start = end
        self._scanned = max(self._scanned, end)
        return data

    def take_all(self) -> bytes:
        """What there is."""
        return self.take_some(len(self))

    def clear(self) -> None:
        """Forgets everything, an over-long line that is being skipped included."""
        self._data.clear()
        self._start = self._scanned = 0
        self._skipping = False

    def _skip(self) -> bool:
        """Throws an over-long line away; whether its end came."""
        end = self._data.find(b"\n", self._start)
        upto = len(self._data) if end < 0 else end + 1
        self.skipped_bytes += upto - self._start
        self._start = self._scanned = upto
        self._skipping = end < 0
        return end >= 0
