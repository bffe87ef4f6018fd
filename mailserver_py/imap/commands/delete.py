"""DELETE: RFC 9051 §6.3.5. Mailboxes below stay; the name then is a level without a mailbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..replies import Reply, ok
from .shape import LOGGED_IN, Command
from .subscribe import parse_name

if TYPE_CHECKING:
    from ..session import Session


async def run(session: Session, request: str) -> Reply:
    """Removes the mailbox; when it is the selected one, no mailbox is selected after."""
    account = session.owner()
    mailbox = await account.mailbox(request)
    await account.delete(request)
    if session.selected is not None and session.selected.mailbox.mailbox_id == mailbox.mailbox_id:
        session.deselect()
        await session.send(b"* OK [CLOSED] The selected mailbox is gone\r\n")
    return ok(b"DELETE completed")


COMMAND = Command(b"DELETE", LOGGED_IN, parse_name, run)
