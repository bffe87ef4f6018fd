"""SORT: RFC 5256 §3; the criteria are `imap.order`'s rows, the keys SEARCH's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..cursor import Cursor
from ..keys import parse_charset, parse_program
from ..order import Order, parse_order, sort
from ..program import search
from ..progress import Progress
from ..replies import Reply, ok
from .shape import Command, State, Updates

if TYPE_CHECKING:
    from ..session import Session


@dataclass(frozen=True, slots=True)
class Sort:
    """The order, and a program that is still text, for it depends on the time."""

    orders: tuple[Order, ...]
    charset: str
    program: Cursor
    uid: bool


def parse(cursor: Cursor) -> Sort:
    """`(criteria) charset program`."""
    cursor.space()
    orders = parse_order(cursor)
    cursor.space()
    charset = parse_charset(cursor)
    cursor.space()
    start = cursor.position
    parse_program(cursor, 0, charset)
    cursor.position = start
    return Sort(orders, charset, cursor, cursor.uid)


async def run(session: Session, request: Sort) -> Reply:
    """Searches, sorts, answers."""
    box = session.box()
    node, enables = parse_program(request.program, session.door.now_s(), request.charset)
    for name in enables:
        await session.enable(name)
    positions = await sort(box, await search(box, node, progress=Progress(session)), request.orders)
    numbers = [box.uids[at] if request.uid else at + 1 for at in positions]
    modseq = max((box.modseqs[at] for at in positions), default=0) if enables else 0
    tail = b" (MODSEQ %d)" % modseq if modseq else b""
    await session.send(b"* SORT%b%b\r\n" % (b"".join(b" %d" % number for number in numbers), tail))
    return ok(b"SORT completed")


COMMAND = Command(
    b"SORT", State.SELECTED, parse, run, capabilities=(b"SORT",), updates=Updates.NO_EXPUNGE, uid_form=True
)
