"""SEARCH: RFC 9051 §6.4.4, RFC 3501 §6.4.4; ESEARCH (RFC 4731), SEARCHRES (RFC 5182). Keys are `imap.keys`' rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..cursor import Cursor
from ..keys import parse_program
from ..program import search
from ..progress import Progress
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
    charset: bool
    """A CHARSET was named."""


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
    charset = cursor.data[start : start + 8].upper() == b"CHARSET "
    return Search(cursor, cursor.uid, returns, charset)


async def run(session: Session, request: Search) -> Reply:
    """Searches, answers, remembers."""
    box = session.box()
    if request.charset and b"UTF8=ACCEPT" in session.enabled:
        raise bad(b"After ENABLE UTF8=ACCEPT there is no CHARSET")  # RFC 6855 §3
    saves = request.returns is not None and b"SAVE" in request.returns
    try:
        node, enables = parse_program(request.program, session.door.now_s())
        positions = await search(box, node, progress=Progress(session))
    except Refused:
        if saves:
            box.saved = frozenset()
        raise
    for name in enables:
        await session.enable(name)
    numbers = [box.uids[at] for at in positions] if request.uid else [at + 1 for at in positions]
    modseq = max((box.modseqs[at] for at in _shown(request.returns, positions)), default=0) if enables else 0
    if saves:
        box.saved = frozenset(box.uids[at] for at in _shown(request.returns, positions))
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


def _shown(returns: Sequence[bytes] | None, positions: Sequence[int]) -> Sequence[int]:
    """The messages that SAVE keeps (RFC 9051 §6.4.4.1, table 4) and MODSEQ speaks of (RFC 7162 §3.1.5): with MIN or
    MAX alone those, else all."""
    if not positions or returns is None or b"ALL" in returns or b"COUNT" in returns:
        return positions
    ends = {b"MIN": positions[0], b"MAX": positions[-1]}
    return [at for name, at in ends.items() if name in returns] or positions


COMMAND = Command(
    b"SEARCH",
    State.SELECTED,
    parse,
    run,
    capabilities=(b"ESEARCH", b"SEARCHRES"),
    updates=Updates.NO_EXPUNGE,
    uid_form=True,
)
