"""MOVE: RFC 9051 §6.4.8, RFC 6851."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...mailstore.values import NoSuchMailbox
from ..replies import Reply, no, ok, try_create
from .copy import Copy, copy_uid, parse
from .shape import Command, State

if TYPE_CHECKING:
    from ..session import Session


async def run(session: Session, request: Copy) -> Reply:
    """COPYUID goes out untagged, before the EXPUNGE responses that the session sends (§6.4.8)."""
    box = session.box()
    if box.read_only:
        raise no(b"The mailbox is read-only", b"CANNOT")
    uids = [box.uids[at] for at in box.pick(request.messages, uid=request.uid)]
    try:
        appended = await box.account.move(box.mailbox.mailbox_id, uids, request.target, whole=not request.uid)
    except NoSuchMailbox as error:
        raise try_create(error) from None
    if appended.uids:
        await session.send(ok(b"Moved", copy_uid(appended)).serialize(b"*"))
    box.expunged(appended.source_uids)
    return ok(b"MOVE completed")


COMMAND = Command(b"MOVE", State.SELECTED, parse, run, capabilities=(b"MOVE",), uid_form=True, numbered=True)
