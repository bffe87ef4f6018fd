"""Which mailboxes a command means: `filter-mailboxes` of RFC 5465 §6, with RFC 7377 §2.2's `subtree-one`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ..mailstore.values import INBOX, SEPARATOR
from .cursor import Cursor
from .replies import bad

WITH_NAMES = frozenset({b"SUBTREE", b"SUBTREE-ONE", b"MAILBOXES"})
NAMELESS = frozenset({b"SELECTED", b"SELECTED-DELAYED", b"INBOXES", b"PERSONAL", b"SUBSCRIBED"})


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter."""

    kind: bytes
    names: tuple[str, ...] = ()

    def matches(self, name: str, subscriptions: Collection[str]) -> bool:
        """Whether a mailbox is meant; the selected one is the caller's to know."""
        match self.kind:
            case b"PERSONAL":
                return True
            case b"INBOXES":
                return name == INBOX  # where mail is delivered unless its sender chose otherwise
            case b"SUBSCRIBED":
                return name in subscriptions
            case b"MAILBOXES":
                return name in self.names
            case b"SUBTREE":
                return any(name == top or name.startswith(top + SEPARATOR) for top in self.names)
            case b"SUBTREE-ONE":
                return any(name == top or name.rpartition(SEPARATOR)[0] == top for top in self.names)
        return False


def parse_filter(cursor: Cursor) -> Filter:
    """One `filter-mailboxes`."""
    kind = cursor.word()
    if kind in NAMELESS:
        return Filter(kind)
    if kind not in WITH_NAMES:
        raise bad(b"There is no such mailbox filter")
    cursor.space()
    if cursor.peek() == b"(":
        return Filter(kind, tuple(cursor.items(cursor.mailbox, empty=False)))
    return Filter(kind, (cursor.mailbox(),))
