"""LIST patterns: RFC 9051 §6.3.9, `*` and `%`, matched by a simulation in bits: linear in the name.

(Translated to a regular expression, `*a*a*a…` would take time exponential in the number of stars.)
"""

from __future__ import annotations

import re

from ..mailstore.values import INBOX, SEPARATOR

PATTERN_MAX_CHARS = 2048
"""Longer patterns match nothing: no mailbox name is so long."""

_WILDCARDS = re.compile(r"[*%]{2,}")


class Pattern:
    """One canonical pattern: reference and name joined."""

    def __init__(self, text: str) -> None:
        if len(text) > PATTERN_MAX_CHARS:
            text = ""
        self.text = text = _WILDCARDS.sub(lambda run: "*" if "*" in run[0] else "%", text)
        self.wants_levels = text.endswith("%")
        """RFC 9051 §6.3.9: then levels of hierarchy that are no mailboxes match, too."""
        self._literals: dict[str, int] = {}
        self._star = self._percent = 0
        for at, char in enumerate(text):
            if char == "*":
                self._star |= 1 << at
            elif char == "%":
                self._percent |= 1 << at
            else:
                self._literals[char] = self._literals.get(char, 0) | 1 << at
        self._end = 1 << len(text)

    def matches(self, name: str) -> bool:
        """Whether the whole name matches; INBOX does so in any case."""
        if name == INBOX and self.text.upper() != self.text:
            return Pattern(self.text.upper()).matches(name)
        wild = self._star | self._percent
        states = 1
        states |= (states & wild) << 1
        for char in name:
            stay = states & (self._star if char == SEPARATOR else wild)
            states = stay | (states & self._literals.get(char, 0)) << 1
            states |= (states & wild) << 1
            if not states:
                return False
        return bool(states & self._end)
