"""LSUB: RFC 3501 §6.3.9, removed by RFC 9051, still what old clients send."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...mailstore.values import SEPARATOR
from ..cursor import Cursor
from ..listing import parents
from ..names import parse_pattern, serialize_mailbox
from ..patterns import Pattern
from ..replies import Reply, ok
from .shape import LOGGED_IN, Command

if TYPE_CHECKING:
    from ..session import Session


@dataclass(frozen=True, slots=True)
class Lsub:
    """The canonical pattern; None matches nothing."""

    pattern: str | None


def parse(cursor: Cursor) -> Lsub:
    """Reference and pattern."""
    cursor.space()
    reference = cursor.astring()
    cursor.space()
    pattern = cursor.list_mailbox()
    cursor.end()
    return Lsub(parse_pattern(reference + pattern, utf8=cursor.utf8))


async def run(session: Session, request: Lsub) -> Reply:
    """Subscribed names; with `%`, levels above subscribed names as \\Noselect."""
    if request.pattern is not None:
        pattern = Pattern(request.pattern)
        account = session.owner()
        subscribed = list(await account.list_subscriptions())
        existing = {box.name for box in await account.list_mailboxes()}
        names = dict.fromkeys(name for name in subscribed if pattern.matches(name))
        above: dict[str, None] = {}
        if pattern.wants_levels:
            levels = (level for name in subscribed for level in parents(name))
            above = dict.fromkeys(level for level in levels if level not in names and pattern.matches(level))
        lines = []
        for name in sorted([*names, *above]):
            attributes = b"\\Noselect" if name in above or name not in existing else b""
            lines.append(
                b'* LSUB (%b) "%b" %b\r\n'
                % (attributes, SEPARATOR.encode(), serialize_mailbox(name, utf8=session.utf8))
            )
        await session.send(b"".join(lines))
    return ok(b"LSUB completed")


COMMAND = Command(b"LSUB", LOGGED_IN, parse, run)
