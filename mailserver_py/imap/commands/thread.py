"""THREAD: RFC 5256 §3; the algorithms are `imap.threads`', the keys SEARCH's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..cursor import Cursor
from ..keys import parse_charset, parse_program
from ..order import read_rows
from ..program import search
from ..progress import Progress
from ..replies import Reply, bad, ok
from ..threads import ALGORITHMS, Member, serialize_thread
from .shape import Command, State, Updates

if TYPE_CHECKING:
    from ..session import Session

COLUMNS = ("subject", "sent_at_s", "thread_ids")


@dataclass(frozen=True, slots=True)
class Thread:
    """The algorithm, and a program that is still text, for it depends on the time."""

    algorithm: bytes
    charset: str
    program: Cursor
    uid: bool


def parse(cursor: Cursor) -> Thread:
    """`algorithm charset program`."""
    cursor.space()
    algorithm = cursor.word()
    if algorithm not in ALGORITHMS:
        raise bad(b"There is no such threading algorithm")
    cursor.space()
    charset = parse_charset(cursor)
    cursor.space()
    start = cursor.position
    parse_program(cursor, 0, charset)
    cursor.position = start
    return Thread(algorithm, charset, cursor, cursor.uid)


async def run(session: Session, request: Thread) -> Reply:
    """Searches, relates, answers."""
    box = session.box()
    node, enables = parse_program(request.program, session.door.now_s(), request.charset)
    for name in enables:
        await session.enable(name)
    positions = await search(box, node, progress=Progress(session))
    members: list[Member] = []
    for at, row in sorted((await read_rows(box, positions, COLUMNS)).items()):
        own, _, others = str(row["thread_ids"]).partition("\n")
        sent_at_s = row["sent_at_s"]
        assert isinstance(sent_at_s, int)
        members.append(
            Member(
                box.uids[at] if request.uid else at + 1,
                sent_at_s or box.received[at],
                box.received[at],
                str(row["subject"]),
                own,
                others.split(),
            )
        )
    threads = b"".join(map(serialize_thread, ALGORITHMS[request.algorithm](members)))
    await session.send(b"* THREAD%b\r\n" % (b" " + threads if threads else b""))
    return ok(b"THREAD completed")


COMMAND = Command(
    b"THREAD",
    State.SELECTED,
    parse,
    run,
    capabilities=tuple(b"THREAD=" + name for name in ALGORITHMS),
    updates=Updates.NO_EXPUNGE,
    uid_form=True,
    numbered=True,
)
