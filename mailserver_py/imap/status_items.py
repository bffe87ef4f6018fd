"""STATUS items: RFC 9051 §6.3.11, RFC 8438 (SIZE), RFC 7162 §3.1.7 (HIGHESTMODSEQ). One row each.

Used by STATUS and by LIST's STATUS return option (RFC 5819).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..mailstore.values import Mailbox
from .cursor import Cursor
from .names import serialize_mailbox
from .replies import bad


@dataclass(frozen=True, slots=True)
class StatusItem:
    """One item."""

    name: bytes
    value: Callable[[Mailbox], int]
    capability: bytes = b""
    enables: bytes = b""
    """What asking for it enables (RFC 7162 §3.1)."""


STATUS_ITEMS: tuple[StatusItem, ...] = (
    StatusItem(b"MESSAGES", lambda box: box.message_count),
    # Deviation: always 0, see `imap.flags`.
    StatusItem(b"RECENT", lambda box: 0),
    StatusItem(b"UIDNEXT", lambda box: box.uid_next),
    StatusItem(b"UIDVALIDITY", lambda box: box.uid_validity),
    StatusItem(b"UNSEEN", lambda box: box.unseen_count),
    StatusItem(b"DELETED", lambda box: box.deleted_count),
    StatusItem(b"SIZE", lambda box: box.size_bytes, capability=b"STATUS=SIZE"),
    StatusItem(
        b"HIGHESTMODSEQ",
        lambda box: max(1, box.highest_modseq),
        capability=b"CONDSTORE",
        enables=b"CONDSTORE",
    ),
)

_BY_NAME = {item.name: item for item in STATUS_ITEMS}


def parse_status_items(cursor: Cursor) -> tuple[StatusItem, ...]:
    """`(MESSAGES UIDNEXT …)`."""
    names = dict.fromkeys(cursor.items(cursor.word, empty=False))
    unknown = [name for name in names if name not in _BY_NAME]
    if unknown:
        raise bad(b"There is no such status item")
    return tuple(_BY_NAME[name] for name in names)


def serialize_status(mailbox: Mailbox, wanted: tuple[StatusItem, ...], *, utf8: bool) -> bytes:
    """The STATUS response."""
    values = b" ".join(b"%b %d" % (item.name, item.value(mailbox)) for item in wanted)
    return b"* STATUS %b (%b)\r\n" % (serialize_mailbox(mailbox.name, utf8=utf8), values)
