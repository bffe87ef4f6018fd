"""STATUS items: RFC 9051 §6.3.11, RFC 8438 (SIZE), RFC 7162 (HIGHESTMODSEQ), RFC 8474 (MAILBOXID),
RFC 7889 (APPENDLIMIT), RFC 9208 (DELETED-STORAGE). One row each.

Used by STATUS and by LIST's STATUS return option (RFC 5819).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..mailstore.port import Account
from ..mailstore.values import Flag, Mailbox
from .cursor import Cursor
from .names import serialize_mailbox
from .replies import bad


def mailbox_object_id(mailbox: Mailbox) -> bytes:
    """MAILBOXID (RFC 8474 §4): stays with renames; unique because the store never reuses a mailbox's number."""
    return b"F%d-%d" % (mailbox.mailbox_id, mailbox.uid_validity)


@dataclass(frozen=True, slots=True)
class Around:
    """What an item may need beside the mailbox."""

    letter_bytes: int
    """What a letter may have (RFC 7889)."""
    deleted_bytes: int = 0
    """What an EXPUNGE would free."""


@dataclass(frozen=True, slots=True)
class StatusItem:
    """One item."""

    name: bytes
    value: Callable[[Mailbox, Around], int | bytes]
    capability: bytes = b""
    enables: bytes = b""
    """What asking for it enables (RFC 7162 §3.1)."""
    reads_messages: bool = False
    """`Around.deleted_bytes` has to be found out."""


STATUS_ITEMS: tuple[StatusItem, ...] = (
    StatusItem(b"MESSAGES", lambda box, around: box.message_count),
    # Deviation: always 0, see `imap.flags`.
    StatusItem(b"RECENT", lambda box, around: 0),
    StatusItem(b"UIDNEXT", lambda box, around: box.uid_next),
    StatusItem(b"UIDVALIDITY", lambda box, around: box.uid_validity),
    StatusItem(b"UNSEEN", lambda box, around: box.unseen_count),
    StatusItem(b"DELETED", lambda box, around: box.deleted_count),
    # RFC 9208 §4.1.4; octets, as RFC 9208 §5.1's example and `SIZE` have it.
    StatusItem(b"DELETED-STORAGE", lambda box, around: around.deleted_bytes, reads_messages=True),
    StatusItem(b"SIZE", lambda box, around: box.size_bytes, capability=b"STATUS=SIZE"),
    # The capability is announced with its number, see `capabilities`.
    StatusItem(b"APPENDLIMIT", lambda box, around: around.letter_bytes),
    StatusItem(b"MAILBOXID", lambda box, around: b"(%b)" % mailbox_object_id(box), capability=b"OBJECTID"),
    StatusItem(
        b"HIGHESTMODSEQ",
        lambda box, around: max(1, box.highest_modseq),
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


async def look_around(
    account: Account, mailbox: Mailbox, wanted: tuple[StatusItem, ...], letter_bytes: int
) -> Around:
    """Finds out what the items need."""
    deleted_bytes = 0
    if mailbox.deleted_count and any(item.reads_messages for item in wanted):
        messages = await account.messages(mailbox.mailbox_id)
        deleted_bytes = sum(message.size_bytes for message in messages if message.flags & Flag.DELETED)
    return Around(letter_bytes, deleted_bytes)


def _serialize_value(value: int | bytes) -> bytes:
    return value if isinstance(value, bytes) else b"%d" % value


def serialize_status(
    mailbox: Mailbox, wanted: tuple[StatusItem, ...], around: Around, *, utf8: bool
) -> bytes:
    """The STATUS response."""
    values = b" ".join(item.name + b" " + _serialize_value(item.value(mailbox, around)) for item in wanted)
    return b"* STATUS %b (%b)\r\n" % (serialize_mailbox(mailbox.name, utf8=utf8), values)
