"""EXPUNGE and UID EXPUNGE: RFC 9051 §6.4.3, §6.4.9, RFC 4315 §2.1, with HIGHESTMODSEQ (RFC 7162 §3.2.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..cursor import Cursor
from ..replies import Reply, no, ok
from ..sequence import SequenceSet
from .shape import Command, State

if TYPE_CHECKING:
    from ..session import Session


def parse(cursor: Cursor) -> SequenceSet | None:
    """Nothing; with UID, a set."""
    if not cursor.uid:
        cursor.end()
        return None
    cursor.space()
    wanted = cursor.sequence_set()
    cursor.end()
    return wanted


async def run(session: Session, request: SequenceSet | None) -> Reply:
    """Removes what carries \\Deleted and tells which numbers went."""
    box = session.box()
    if box.read_only:
        raise no(b"The mailbox is read-only", b"CANNOT")
    positions = range(box.count) if request is None else box.pick(request, uid=True)
    uids = [box.uids[at] for at in positions]
    gone = await box.account.expunge(box.mailbox.mailbox_id, uids)
    box.expunged(gone)
    if not gone or not box.resyncing:
        return ok(b"EXPUNGE completed")
    await session.tell(expunges=True)  # only then does the client know all up to that MODSEQ
    return ok(b"EXPUNGE completed", b"HIGHESTMODSEQ %d" % box.modseq)


COMMAND = Command(b"EXPUNGE", State.SELECTED, parse, run, capabilities=(b"UIDPLUS",), uid_form=True)
