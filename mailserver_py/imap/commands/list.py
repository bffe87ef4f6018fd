"""LIST: RFC 9051 §6.3.9, RFC 5258; which names and what of them is `imap.listing`'s."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...mailstore.values import SEPARATOR
from ..listing import ListRequest, list_entries, parse_list, select, serialize_entry
from ..names import serialize_mailbox
from ..replies import Reply, ok
from ..status_items import look_around, serialize_status
from .shape import LOGGED_IN, Command

if TYPE_CHECKING:
    from ..session import Session


async def run(session: Session, request: ListRequest) -> Reply:
    """Lists what matches; with STATUS each LIST response is followed by the mailbox's numbers."""
    if request.root is not None:
        # RFC 9051 §6.3.9: the separator, and the root of the reference.
        await session.send(
            b'* LIST (\\Noselect) "%b" %b\r\n'
            % (SEPARATOR.encode(), serialize_mailbox("", utf8=session.utf8))
        )
        return ok(b"LIST completed")
    account = session.owner()
    entries = list_entries(await account.list_mailboxes(), await account.list_subscriptions())
    lines: list[bytes] = []
    for found in select(request, entries):
        lines.append(serialize_entry(found, request, utf8=session.utf8, rev2=session.rev2))
        if request.status and found.entry.mailbox is not None:
            mailbox = found.entry.mailbox
            around = await look_around(account, mailbox, request.status, session.message_bytes)
            lines.append(serialize_status(mailbox, request.status, around, utf8=session.utf8))
    for item in request.status:
        if item.enables:
            await session.enable(item.enables)
    await session.send(b"".join(lines))
    return ok(b"LIST completed")


COMMAND = Command(b"LIST", LOGGED_IN, parse_list, run)
