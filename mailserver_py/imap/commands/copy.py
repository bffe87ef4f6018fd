"""COPY: RFC 9051 §6.4.7, with COPYUID (RFC 4315 §3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...mailstore.values import Appended, NoSuchMailbox
from ..cursor import Cursor
from ..replies import Reply, ok, try_create
from ..sequence import SequenceSet, serialize_numbers
from .shape import Command, State

if TYPE_CHECKING:
    from ..session import Session


@dataclass(frozen=True, slots=True)
class Copy:
    """Which messages go where."""

    messages: SequenceSet
    target: str
    uid: bool


def parse(cursor: Cursor) -> Copy:
    """`set mailbox`; MOVE's arguments too."""
    cursor.space()
    messages = cursor.sequence_set()
    cursor.space()
    target = cursor.mailbox()
    cursor.end()
    return Copy(messages, target, cursor.uid)


def copy_uid(appended: Appended) -> bytes:
    """The response code; empty when nothing was copied."""
    if not appended.uids:
        return b""
    return b"COPYUID %d %b %b" % (
        appended.uid_validity,
        serialize_numbers(appended.source_uids),
        serialize_numbers(appended.uids),
    )


async def run(session: Session, request: Copy) -> Reply:
    """All or none. A sequence number whose message is gone spoils it (RFC 2180 §4.4), a UID need not exist."""
    box = session.box()
    uids = [box.uids[at] for at in box.pick(request.messages, uid=request.uid)]
    try:
        appended = await box.account.copy(box.mailbox.mailbox_id, uids, request.target, whole=not request.uid)
    except NoSuchMailbox as error:
        raise try_create(error) from None
    return ok(b"COPY completed", copy_uid(appended))


COMMAND = Command(b"COPY", State.SELECTED, parse, run, uid_form=True, numbered=True)
