"""STATUS items: RFC 9051 §6.3.11, RFC 8438 (SIZE), RFC 7162 (HIGHESTMODSEQ), RFC 8474 (MAILBOXID),
RFC 7889 (APPENDLIMIT). One row each.

Used by STATUS and by LIST's STATUS return option (RFC 5819).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..mailstore.values import Mailbox
from .cursor import Cursor
from .names import serialize_mailbox
from .replies import bad


def mailbox_object_id(mailbox: Mailbox) -> bytes:
    """MAILBOXID (RFC 8474 §4): stays with renames; unique because the store never reuses a mailbox's number."""
    return b"F%d-%d" % (mailbox.mailbox_id, mailbox.uid_validity)


@dataclass(frozen=True, slots=True)
class StatusItem:
    """One item."""

    name: bytes
    value: Callable[[Mailbox, int], int | bytes]
    """From the mailbox and the octets that a letter may have."""
    capability: bytes = b""
    enables: bytes = b""
    """What asking for it enables (RFC 7162 §3.1)."""


STATUS_ITEMS: tuple[StatusItem, ...] = (
    StatusItem(b"MESSAGES", lambda box, limit_bytes: box.message_count),
    # Deviation: always 0, see `imap.flags`.
    StatusItem(b"RECENT", lambda box, limit_bytes: 0),
    StatusItem(b"UIDNEXT", lambda box, limit_bytes: box.uid_next),
    StatusItem(b"UIDVALIDITY", lambda box, limit_bytes: box.uid_validity),
    StatusItem(b"UNSEEN", lambda box, limit_bytes: box.unseen_count),
    StatusItem(b"DELETED", lambda box, limit_bytes: box.deleted_count),
    StatusItem(b"SIZE", lambda box, limit_bytes: box.size_bytes, capability=b"STATUS=SIZE"),
    # The capability is announced with its number, see `capabilities`.
    StatusItem(b"APPENDLIMIT", lambda box, limit_bytes: limit_bytes),
    StatusItem(
        b"MAILBOXID", lambda box, limit_bytes: b"(%b)" % mailbox_object_id(box), capability=b"OBJECTID"
    ),
    StatusItem(
        b"HIGHESTMODSEQ",
        lambda box, limit_bytes: max(1, box.highest_modseq),
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


def _serialize_value(value: int | bytes) -> bytes:
    return value if isinstance(value, bytes) else b"%d" % value


def serialize_status(
    mailbox: Mailbox, wanted: tuple[StatusItem, ...], limit_bytes: int, *, utf8: bool
) -> bytes:
    """The STATUS response."""
    values = b" ".join(
        item.name + b" " + _serialize_value(item.value(mailbox, limit_bytes)) for item in wanted
    )
    return b"* STATUS %b (%b)\r\n" % (serialize_mailbox(mailbox.name, utf8=utf8), values)
