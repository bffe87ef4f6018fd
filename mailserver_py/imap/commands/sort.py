"""SORT: RFC 5256 §3, ESORT: RFC 5267 §3; the criteria are `imap.order`'s rows, the keys SEARCH's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..cursor import Cursor
from ..keys import parse_charset, parse_program
from ..order import Order, parse_order, sort
from ..program import search
from ..progress import Progress
from ..replies import Reply, ok
from ..results import Returns, parse_returns
from .search import answer, answer_plainly, check_tag, follow
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
    returns: Returns | None = None


def parse(cursor: Cursor) -> Sort:
    """`[RETURN (options)] (criteria) charset program`."""
    cursor.space()
    returns = parse_returns(cursor)
    orders = parse_order(cursor)
    cursor.space()
    charset = parse_charset(cursor)
    cursor.space()
    start = cursor.position
    parse_program(cursor, 0, charset)
    cursor.position = start
    return Sort(orders, charset, cursor, cursor.uid, returns)


async def run(session: Session, request: Sort) -> Reply:
    """Searches, sorts, answers."""
    box = session.box()
    check_tag(session, request.returns)
    node, enables = parse_program(request.program, session.door.now_s(), request.charset)
    for name in enables:
        await session.enable(name)
    progress = Progress(session)
    positions = await sort(box, await search(box, node, progress=progress), request.orders)
    if request.returns is None:
        await answer_plainly(session, b"SORT", positions, uid=request.uid, with_modseq=bool(enables))
    else:
        await answer(session, request.returns, positions, uid=request.uid, with_modseq=bool(enables))
        await follow(session, request.returns, node, request.orders, positions, uid=request.uid)
    return ok(b"SORT completed")


COMMAND = Command(
    b"SORT",
    State.SELECTED,
    parse,
    run,
    capabilities=(b"SORT", b"SORT=DISPLAY", b"ESORT"),
    updates=Updates.NO_EXPUNGE,
    uid_form=True,
    numbered=True,
)
