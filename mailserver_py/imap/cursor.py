"""The grammar of commands: RFC 9051 §9, as methods of a cursor over one complete command.

A command arrives here whole and bounded (`imap.reader`), its literals in place, so that parsing is one pass without
waiting. Every method either consumes what it names or raises `Refused` with BAD. Deviation: a number of elements is
bounded by the length of the command alone, but nesting stops at `NESTING_MAX`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import TypeVar

from ..mailstore.values import INBOX
from . import dates
from .flags import FlagList, parse_flags
from .names import parse_mailbox
from .replies import bad
from .sequence import SequenceSet, parse_sequence_set

T = TypeVar("T")

NESTING_MAX = 32
"""Parentheses within parentheses; SEARCH programs of real clients reach about 5."""

NUMBER64_MAX = (1 << 63) - 1

_ATOM = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\\]]+")
_ASTRING_ATOM = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\]+")
_LIST_ATOM = re.compile(rb"[^\x00-\x20\x7f-\xff(){\"\\]+")
_QUOTED = re.compile(rb'"((?:[^"\\\r\n\x00]|\\["\\])*)"')
_ESCAPE = re.compile(rb'\\(["\\])')
_LITERAL = re.compile(rb"(~?)\{([0-9]{1,19})\+?\}\r\n")
_NUMBER = re.compile(rb"[0-9]{1,20}")
_FLAG = re.compile(rb"\\?[^\x00-\x20\x7f-\xff(){%*\"\\\]]+|\\\*")


class Cursor:
    """Where parsing stands in one command."""

    __slots__ = ("_depth", "data", "old_name", "position", "uid", "utf8")

    def __init__(self, data: bytes, position: int = 0, *, uid: bool = False, utf8: bool = False) -> None:
        self.data = data
        self.position = position
        self.uid = uid
        """The command came with the UID prefix."""
        self.utf8 = utf8
        """Mailbox names are UTF-8: the client has enabled IMAP4rev2 or UTF8=ACCEPT."""
        self.old_name = ""
        """A mailbox name that was not in its normal form, as it was written (RFC 9051 §6.3.9.7)."""
        self._depth = 0

    # --- tokens

    def at_end(self) -> bool:
        """True when nothing is left."""
        return self.position >= len(self.data)

    def end(self) -> None:
        """Nothing may be left."""
        if not self.at_end():
            raise bad(b"There is more than the command takes")

    def peek(self) -> bytes:
        """The next octet, not consumed; empty at the end."""
        return self.data[self.position : self.position + 1]

    def skip(self, token: bytes) -> bool:
        """Consumes `token` when it is next."""
        if self.data.startswith(token, self.position):
            self.position += len(token)
            return True
        return False

    def expect(self, token: bytes) -> None:
        """Consumes `token`, which must be next."""
        if not self.skip(token):
            raise bad(b"Expected a space" if token == b" " else b"Expected %b" % token)

    def space(self) -> None:
        """Exactly one space (RFC 9051 §9, note 2)."""
        self.expect(b" ")

    def _match(self, pattern: re.Pattern[bytes], what: bytes) -> re.Match[bytes]:
        match = pattern.match(self.data, self.position)
        if match is None:
            raise bad(b"Expected " + what)
        self.position = match.end()
        return match

    def atom(self) -> bytes:
        """An atom, as written."""
        return self._match(_ATOM, b"an atom")[0]

    def word(self) -> bytes:
        """An atom in upper case: a name of ours, which matches in any case."""
        return self.atom().upper()

    def number(self, maximum: int = NUMBER64_MAX) -> int:
        """`number` or `number64`."""
        value = int(self._match(_NUMBER, b"a number")[0])
        if value > maximum:
            raise bad(b"The number is too large")
        return value

    def string(self) -> bytes:
        """`string`: quoted or literal."""
        if self.peek() == b'"':
            value = self._match(_QUOTED, b"a quoted string that ends")[1]
            return _ESCAPE.sub(rb"\1", value) if b"\\" in value else value
        return self.literal()

    def literal(self) -> bytes:
        """`literal` or `literal8`, its octets in place."""
        match = self._match(_LITERAL, b"a string")
        size_bytes = int(match[2])
        value = self.data[self.position : self.position + size_bytes]
        if len(value) < size_bytes:
            raise bad(b"The literal is cut short")
        if not match[1] and b"\0" in value:
            raise bad(b"NUL cannot be sent")
        self.position += size_bytes
        return value

    def streamed_literal(self) -> tuple[int, bool]:
        """The announcement of a literal whose octets went elsewhere: (size, whether it was a literal8)."""
        match = self._match(_LITERAL, b"a literal")
        return int(match[2]), bool(match[1])

    def astring(self) -> bytes:
        """`astring`."""
        if self.peek() in {b'"', b"{"} or _LITERAL.match(self.data, self.position):
            return self.string()
        return self._match(_ASTRING_ATOM, b"a string or an atom")[0]

    def list_mailbox(self) -> bytes:
        """`list-mailbox`: an astring in which `%` and `*` may stand."""
        if self.peek() in (b'"', b"{"):
            return self.string()
        return self._match(_LIST_ATOM, b"a mailbox pattern")[0]

    # --- composites

    def mailbox(self) -> str:
        """A mailbox name, decoded; INBOX in any case is `INBOX`."""
        raw = self.astring()
        name = parse_mailbox(raw, utf8=self.utf8)
        if self.utf8 and name != INBOX and name.encode() != raw:
            self.old_name = raw.decode("utf-8")
        return name

    def sequence_set(self) -> SequenceSet:
        """`sequence-set`, `$` included."""
        found = parse_sequence_set(self.data, self.position)
        if found is None:
            raise bad(b"Expected a sequence set")
        self.position = found[1]
        return found[0]

    def items(self, element: Callable[[], T], *, empty: bool = True) -> list[T]:
        """`(a b c)`. Nesting is bounded here, for every list there is."""
        self.expect(b"(")
        if self.skip(b")"):
            if empty:
                return []
            raise bad(b"The list is empty")
        self._depth += 1
        if self._depth > NESTING_MAX:
            raise bad(b"Too many parentheses within parentheses")
        values = [element()]
        while not self.skip(b")"):
            self.space()
            values.append(element())
        self._depth -= 1
        return values

    def flag(self) -> bytes:
        """One flag or keyword, as written."""
        return self._match(_FLAG, b"a flag")[0]

    def flag_list(self) -> FlagList:
        """`flag-list`."""
        return parse_flags(self.items(self.flag))

    def date(self) -> date:
        """`date`, with or without quotes."""
        raw = self.string() if self.peek() == b'"' else self.atom()
        value = dates.parse_date(raw)
        if value is None:
            raise bad(b"Expected a date like 1-Feb-1994")
        return value

    def date_time(self) -> int:
        """`date-time` → seconds since the epoch."""
        value = dates.parse_date_time(self.string())
        if value is None:
            raise bad(b"Expected a date and time like 17-Jul-1996 02:44:25 -0700")
        return value

    def nested(self, element: Callable[[], T]) -> T:
        """Runs a recursive production one level deeper, within the bound."""
        self._depth += 1
        if self._depth > NESTING_MAX:
            raise bad(b"Too many levels")
        value = element()
        self._depth -= 1
        return value
