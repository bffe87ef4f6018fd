"""CREATE: RFC 9051 §6.3.4, with a special use (RFC 6154 §3) and the new mailbox's MAILBOXID (RFC 8474 §4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...mailstore.values import SEPARATOR
from ..cursor import Cursor
from ..listing import serialize_old_name
from ..replies import Reply, bad, no, ok
from ..status_items import mailbox_object_id
from .shape import LOGGED_IN, Command

if TYPE_CHECKING:
    from ..session import Session

SPECIAL_USES: dict[bytes, str] = {
    b"\\ALL": "\\All",
    b"\\ARCHIVE": "\\Archive",
    b"\\DRAFTS": "\\Drafts",
    b"\\FLAGGED": "\\Flagged",
    b"\\JUNK": "\\Junk",
    b"\\SENT": "\\Sent",
    b"\\TRASH": "\\Trash",
    b"\\IMPORTANT": "\\Important",
}
"""RFC 6154 §2, RFC 8457 §3."""

VIRTUAL = frozenset({"\\All", "\\Flagged"})
"""Uses whose mailboxes would have to show other mailboxes' messages; there are none of that kind here."""


@dataclass(frozen=True, slots=True)
class Create:
    """A name and its use."""

    name: str
    special_use: str = ""
    old_name: str = ""
    """The name as it was written, when that is not its normal form."""


def parse(cursor: Cursor) -> Create:
    """`mailbox [(USE (\\Sent))]`. A separator at the end only says that children will follow (§6.3.4)."""
    cursor.space()
    name = cursor.mailbox()
    if len(name) > 1:
        name = name.removesuffix(SEPARATOR)
    uses: list[bytes] = []

    def parameter() -> None:
        if cursor.word() != b"USE":
            raise bad(b"There is no such CREATE parameter")
        cursor.space()
        uses.extend(cursor.items(cursor.flag))

    if not cursor.at_end():
        cursor.space()
        cursor.items(parameter, empty=False)
    cursor.end()
    if len(set(map(bytes.upper, uses))) > 1:
        raise no(b"A mailbox has one special use here", b"USEATTR")
    use = SPECIAL_USES.get(uses[0].upper(), "?") if uses else ""
    if use == "?" or use in VIRTUAL:
        raise no(b"There is no such special use here", b"USEATTR")
    return Create(name, use, cursor.old_name)


async def run(session: Session, request: Create) -> Reply:
    """Makes the mailbox."""
    account = session.owner()
    if request.special_use and any(
        box.special_use == request.special_use for box in await account.list_mailboxes()
    ):
        raise no(b"Another mailbox has that use", b"USEATTR")
    mailbox = await account.create(request.name, request.special_use)
    await session.send(serialize_old_name(mailbox.name, request.old_name, utf8=session.utf8))
    return ok(b"CREATE completed", b"MAILBOXID (%b)" % mailbox_object_id(mailbox))


COMMAND = Command(b"CREATE", LOGGED_IN, parse, run, capabilities=(b"CREATE-SPECIAL-USE",))
