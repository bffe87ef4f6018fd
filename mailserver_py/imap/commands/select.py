"""SELECT and EXAMINE: RFC 9051 §6.3.2, §6.3.3, with the parameters CONDSTORE and QRESYNC (RFC 7162 §3.1.8, §3.2.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..cursor import Cursor
from ..listing import Found, ListRequest, list_entries, serialize_entry
from ..qresync import Known, catch_up, parse_known
from ..replies import Reply, bad, ok
from ..selected import Selected
from ..status_items import mailbox_object_id
from .shape import LOGGED_IN, Command, Updates

if TYPE_CHECKING:
    from ..session import Session


@dataclass(frozen=True, slots=True)
class Select:
    """A mailbox and parameters."""

    mailbox: str
    condstore: bool = False
    known: Known | None = None
    """QRESYNC: what the client knows of it."""
    old_name: str = ""
    """The name as it was written, when that is not its normal form."""


def parse(cursor: Cursor) -> Select:
    """`mailbox [(parameters)]` (RFC 4466 §2.4)."""
    cursor.space()
    mailbox = cursor.mailbox()
    condstore: list[bool] = []
    known: list[Known] = []

    def parameter() -> None:
        name = cursor.word()
        if name == b"CONDSTORE":
            condstore.append(True)
        elif name == b"QRESYNC":
            cursor.space()
            known.append(parse_known(cursor))
        else:
            raise bad(b"There is no such SELECT parameter")

    if not cursor.at_end():
        cursor.space()
        cursor.items(parameter, empty=False)
    cursor.end()
    return Select(mailbox, bool(condstore), known[-1] if known else None, cursor.old_name)


async def _open(session: Session, request: Select, *, read_only: bool) -> None:
    account = session.owner()
    if request.known is not None and b"QRESYNC" not in session.enabled:
        raise bad(b"QRESYNC is to be enabled first")  # RFC 7162 §3.2.5
    if request.known is not None and request.known.numbers is not None and b"UIDONLY" in session.enabled:
        raise bad(b"Only UIDs are used here", b"UIDREQUIRED")
    if session.selected is not None:
        session.deselect()
        await session.send(b"* OK [CLOSED] The previous mailbox is closed\r\n")
    box = await Selected.open(account, request.mailbox, read_only=read_only)
    if request.condstore:
        await session.enable(b"CONDSTORE")
    session.select(box)
    lines = [box.serialize_defined_flags(), b"* %d EXISTS\r\n" % box.count]
    if not session.rev2:
        # RFC 3501 §6.3.1 wants both; RFC 9051 dropped them. Deviation: \Recent is not kept (`imap.flags`).
        lines.append(b"* 0 RECENT\r\n")
        unseen = box.first_unseen()
        if unseen and not box.uid_only:
            lines.append(b"* OK [UNSEEN %d] The first unseen message\r\n" % unseen)
    lines.append(b"* OK [UIDVALIDITY %d] UIDs are valid\r\n" % box.mailbox.uid_validity)
    lines.append(b"* OK [UIDNEXT %d] The next UID\r\n" % box.uid_next)
    lines.append(b"* OK [MAILBOXID (%b)] Its name for good\r\n" % mailbox_object_id(box.mailbox))
    lines.append(box.serialize_highest_modseq())
    if session.rev2:
        entries = list_entries(await account.list_mailboxes(), ())
        entry = next((entry for entry in entries if entry.name == request.mailbox), None)
        if entry is not None:
            found = Found(entry, False, request.old_name)
            lines.append(serialize_entry(found, ListRequest(()), utf8=session.utf8, rev2=True))
    if request.known is not None:
        lines.extend(await catch_up(box, request.known))
    await session.send(b"".join(lines))


async def _select(session: Session, request: Select) -> Reply:
    await _open(session, request, read_only=False)
    return ok(b"SELECT completed", b"READ-WRITE")


async def _examine(session: Session, request: Select) -> Reply:
    await _open(session, request, read_only=True)
    return ok(b"EXAMINE completed", b"READ-ONLY")


SELECT = Command(b"SELECT", LOGGED_IN, parse, _select, updates=Updates.NONE)
EXAMINE = Command(b"EXAMINE", LOGGED_IN, parse, _examine, updates=Updates.NONE)
