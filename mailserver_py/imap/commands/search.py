"""SEARCH: RFC 9051 §6.4.4, RFC 3501 §6.4.4; ESEARCH (RFC 4731), SEARCHRES (RFC 5182). Keys are `imap.keys`' rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..cursor import Cursor
from ..keys import parse_program
from ..program import search
from ..replies import Refused, Reply, bad, ok
from ..sequence import serialize_numbers
from ..strings import serialize_string
from .shape import Command, State, Updates

if TYPE_CHECKING:
    from ..session import Session

RETURN_OPTIONS: dict[bytes, Callable[[Sequence[int]], bytes]] = {
    b"MIN": lambda numbers: b" MIN %d" % numbers[0] if numbers else b"",
    b"MAX": lambda numbers: b" MAX %d" % numbers[-1] if numbers else b"",
    b"ALL": lambda numbers: b" ALL " + serialize_numbers(numbers) if numbers else b"",
    b"COUNT": lambda numbers: b" COUNT %d" % len(numbers),
    b"SAVE": lambda numbers: b"",
}
"""RFC 9051 §6.4.4: what each adds to the ESEARCH response."""


@dataclass(frozen=True, slots=True)
class Search:
    """A SEARCH whose program is still text: its meaning depends on the time and on what was enabled."""

    program: Cursor
    uid: bool
    returns: tuple[bytes, ...] | None
    """None: the old form, answered by SEARCH unless IMAP4rev2 is enabled."""


def parse(cursor: Cursor) -> Search:
    """`[RETURN (options)] program`."""
    cursor.space()
    returns: tuple[bytes, ...] | None = None
    if cursor.data[cursor.position : cursor.position + 7].upper() == b"RETURN ":
        cursor.position += 7
        returns = tuple(dict.fromkeys(cursor.items(cursor.word))) or (b"ALL",)
        if any(name not in RETURN_OPTIONS for name in returns):
            raise bad(b"There is no such SEARCH return option")
        cursor.space()
    start = cursor.position
    try:
        parse_program(cursor, 0)
    except Refused as refused:
        if refused.reply.status != b"NO":
            raise
    cursor.position = start
    return Search(cursor, cursor.uid, returns)


async def run(session: Session, request: Search) -> Reply:
    """Searches, answers, remembers."""
    box = session.box()
    saves = request.returns is not None and b"SAVE" in request.returns
    try:
        node, enables = parse_program(request.program, session.door.now_s())
        positions = await search(box, node)
    except Refused:
        if saves:
            box.saved = frozenset()
        raise
    for name in enables:
        session.enable(name)
    numbers = [box.uids[at] for at in positions] if request.uid else [at + 1 for at in positions]
    highest = max((box.modseqs[at] for at in positions), default=0)
    modseq = highest if enables and highest else 0
    if saves:
        box.saved = frozenset(_to_save(request.returns or (), [box.uids[at] for at in positions]))
    if request.returns is None and not session.rev2:
        tail = b" (MODSEQ %d)" % modseq if modseq else b""
        await session.send(b"* SEARCH%b%b\r\n" % (b"".join(b" %d" % number for number in numbers), tail))
        return ok(b"SEARCH completed")
    returns = request.returns or (b"ALL",)
    if returns != (b"SAVE",):
        data = b"".join(option(numbers) for name, option in RETURN_OPTIONS.items() if name in returns)
        if modseq:
            data += b" MODSEQ %d" % modseq
        uid = b" UID" if request.uid else b""
        await session.send(b"* ESEARCH (TAG %b)%b%b\r\n" % (serialize_string(session.tag), uid, data))
    return ok(b"SEARCH completed")


def _to_save(returns: Sequence[bytes], uids: Sequence[int]) -> Sequence[int]:
    """RFC 9051 §6.4.4.1, table 4."""
    if not uids or b"ALL" in returns or b"COUNT" in returns:
        return uids
    ends = {b"MIN": uids[0], b"MAX": uids[-1]}
    chosen = [uid for name, uid in ends.items() if name in returns]
    return chosen or uids


COMMAND = Command(
    b"SEARCH",
    State.SELECTED,
    parse,
    run,
    capabilities=(b"ESEARCH", b"SEARCHRES"),
    updates=Updates.NO_EXPUNGE,
    uid_form=True,
)
