"""SEARCH: RFC 9051 §6.4.4, RFC 3501 §6.4.4; ESEARCH (RFC 4731), SEARCHRES (RFC 5182), updates (RFC 5267 §4.3). Keys are
`imap.keys`' rows, return options `imap.results`'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..contexts import Context
from ..cursor import Cursor
from ..keys import parse_program
from ..order import Order
from ..program import Node, search
from ..progress import Progress
from ..replies import Refused, Reply, bad, ok
from ..results import DEFAULT, Returns, parse_returns, serialize_esearch
from .shape import Command, State, Updates

if TYPE_CHECKING:
    from ..session import Session


@dataclass(frozen=True, slots=True)
class Search:
    """A SEARCH whose program is still text: its meaning depends on the time and on what was enabled."""

    program: Cursor
    uid: bool
    returns: Returns | None
    """None: the old form, answered by SEARCH unless IMAP4rev2 is enabled."""
    charset: bool
    """A CHARSET was named."""


def parse(cursor: Cursor) -> Search:
    """`[RETURN (options)] program`."""
    cursor.space()
    returns = parse_returns(cursor)
    start = cursor.position
    try:
        parse_program(cursor, 0)
    except Refused as refused:
        if refused.reply.status != b"NO":
            raise
    cursor.position = start
    charset = cursor.data[start : start + 8].upper() == b"CHARSET "
    return Search(cursor, cursor.uid, returns, charset)


async def run(session: Session, request: Search) -> Reply:
    """Searches, answers, remembers."""
    box = session.box()
    if request.charset and b"UTF8=ACCEPT" in session.enabled:
        raise bad(b"After ENABLE UTF8=ACCEPT there is no CHARSET")  # RFC 6855 §3
    returns = request.returns
    check_tag(session, returns)
    try:
        node, enables = parse_program(request.program, session.door.now_s())
        positions = await search(box, node, progress=Progress(session))
    except Refused:
        if returns is not None and returns.saves:
            box.saved = frozenset()
        raise
    for name in enables:
        await session.enable(name)
    if returns is None and not session.rev2:
        await answer_plainly(session, b"SEARCH", positions, uid=request.uid, with_modseq=bool(enables))
    else:
        await answer(session, returns or DEFAULT, positions, uid=request.uid, with_modseq=bool(enables))
        await follow(session, returns, node, (), positions, uid=request.uid)
    return ok(b"SEARCH completed")


def check_tag(session: Session, returns: Returns | None) -> None:
    """RFC 5267 §4.3: the tag names the result, so it can be followed once only. Raises BAD."""
    if returns is not None and returns.updates and session.tag in session.contexts:
        raise bad(b"Tag reuse")


async def answer_plainly(
    session: Session, name: bytes, positions: Sequence[int], *, uid: bool, with_modseq: bool
) -> None:
    """The SEARCH or SORT response of old."""
    box = session.box()
    numbers = [box.uids[at] if uid else at + 1 for at in positions]
    modseq = max((box.modseqs[at] for at in positions), default=0) if with_modseq else 0
    tail = b" (MODSEQ %d)" % modseq if modseq else b""
    await session.send(b"* %b%b%b\r\n" % (name, b"".join(b" %d" % number for number in numbers), tail))


async def answer(
    session: Session, returns: Returns, positions: Sequence[int], *, uid: bool, with_modseq: bool
) -> None:
    """The ESEARCH response; SAVE keeps what it says."""
    box = session.box()
    shown = returns.shown(positions)
    if returns.saves:
        box.saved = frozenset(box.uids[at] for at in shown)
    if returns.silent:
        return
    data = returns.serialize([box.uids[at] if uid else at + 1 for at in positions])
    modseq = max((box.modseqs[at] for at in shown), default=0) if with_modseq else 0
    if modseq:
        data += b" MODSEQ %d" % modseq
    await session.send(serialize_esearch(session.tag, data, uid=uid))


async def follow(
    session: Session,
    returns: Returns | None,
    node: Node,
    orders: tuple[Order, ...],
    positions: Sequence[int],
    *,
    uid: bool,
) -> None:
    """Begins to tell of changes, or says that it cannot (RFC 5267 §4.3.1)."""
    if returns is None or not returns.updates:
        return
    box = session.box()
    if not session.contexts:
        box.take_touched()
    context = Context(session.tag, uid, node, orders, [box.uids[at] for at in positions])
    if not session.contexts.begin(context):
        await session.send(b'* NO [NOUPDATE "%b"] Too many searches are followed\r\n' % session.tag)


COMMAND = Command(
    b"SEARCH",
    State.SELECTED,
    parse,
    run,
    capabilities=(b"ESEARCH", b"SEARCHRES", b"PARTIAL", b"I18NLEVEL=1"),
    updates=Updates.NO_EXPUNGE,
    uid_form=True,
    numbered=True,
)
