"""STORE: RFC 9051 §6.4.6, UNCHANGEDSINCE of RFC 7162 §3.1.3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...mailstore.values import FlagChange
from ..cursor import Cursor
from ..flags import FlagList, parse_flags
from ..replies import Reply, bad, no, ok
from ..sequence import SequenceSet, serialize_numbers
from .shape import Command, State, Updates

if TYPE_CHECKING:
    from ..session import Session

CHANGES: dict[bytes, FlagChange] = {
    b"FLAGS": FlagChange.REPLACE,
    b"+FLAGS": FlagChange.ADD,
    b"-FLAGS": FlagChange.REMOVE,
}


@dataclass(frozen=True, slots=True)
class Store:
    """Which messages, what change, and whether to be silent of it."""

    messages: SequenceSet
    change: FlagChange
    flags: FlagList
    silent: bool
    uid: bool
    unchanged_since: int | None = None


def parse(cursor: Cursor) -> Store:
    """`set [(UNCHANGEDSINCE n)] [+-]FLAGS[.SILENT] flags`; the flags with or without parentheses."""
    cursor.space()
    messages = cursor.sequence_set()
    cursor.space()
    since: list[int] = []

    def modifier() -> None:
        if cursor.word() != b"UNCHANGEDSINCE":
            raise bad(b"There is no such STORE modifier")
        cursor.space()
        since.append(cursor.number())

    if cursor.peek() == b"(":
        cursor.items(modifier, empty=False)
        cursor.space()
    name = cursor.word()
    change = CHANGES.get(name.removesuffix(b".SILENT"))
    if change is None:
        raise bad(b"Expected FLAGS, +FLAGS or -FLAGS")
    cursor.space()
    if cursor.peek() == b"(":
        flags = cursor.flag_list()
    else:
        names = [cursor.flag()]
        while not cursor.at_end():
            cursor.space()
            names.append(cursor.flag())
        flags = parse_flags(names)
    cursor.end()
    return Store(messages, change, flags, name.endswith(b".SILENT"), cursor.uid, since[-1] if since else None)


async def run(session: Session, request: Store) -> Reply:
    """Changes flags in one commit; the session tells the new ones."""
    box = session.box()
    if box.read_only:
        raise no(b"The mailbox is read-only", b"CANNOT")
    if request.unchanged_since is not None:
        await session.enable(b"CONDSTORE")
    uids = [box.uids[at] for at in box.pick(request.messages, uid=request.uid)]
    stored = await box.account.store_flags(
        box.mailbox.mailbox_id,
        uids,
        request.change,
        request.flags.bits,
        request.flags.keywords,
        request.unchanged_since,
    )
    # RFC 7162 §3.1.3: with CONDSTORE the new MODSEQ is told even to those who asked for silence.
    box.stored(stored, tell=not request.silent or box.with_modseq)
    gone = not request.uid and len(stored.messages) + len(stored.refused_uids) < len(uids)
    if stored.refused_uids:
        numbers = sorted(
            stored.refused_uids if request.uid else [box.index(uid) + 1 for uid in stored.refused_uids]
        )
        return Reply(
            b"NO" if gone else b"OK",
            b"Some of the messages were changed by others",
            b"MODIFIED " + serialize_numbers(numbers),
        )
    if gone:
        raise no(b"Some of the messages no longer exist", b"EXPUNGEISSUED")  # RFC 2180 §4.2
    return ok(b"STORE completed")


COMMAND = Command(
    b"STORE", State.SELECTED, parse, run, updates=Updates.NO_EXPUNGE, uid_form=True, numbered=True
)
