"""ENABLE: RFC 9051 §6.3.1, RFC 5161; QRESYNC: RFC 7162 §3.2.3. What can be enabled is a table; the rest is ignored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..cursor import Cursor
from ..replies import Reply, ok
from .shape import Command, State, Updates

if TYPE_CHECKING:
    from ..session import Session

ENABLABLE: dict[bytes, bytes] = {
    b"IMAP4REV2": b"IMAP4rev2",
    b"UTF8=ACCEPT": b"UTF8=ACCEPT",
    b"CONDSTORE": b"CONDSTORE",
    b"QRESYNC": b"QRESYNC",
    b"UIDONLY": b"UIDONLY",
}
"""Upper-case name → as it is announced."""


def parse(cursor: Cursor) -> tuple[bytes, ...]:
    """One name or more."""
    names: list[bytes] = []
    while not names or not cursor.at_end():
        cursor.space()
        names.append(cursor.word())
    return tuple(dict.fromkeys(names))


async def run(session: Session, request: tuple[bytes, ...]) -> Reply:
    """Enables what is known and was not enabled yet."""
    fresh = [name for name in request if name in ENABLABLE and name not in session.enabled]
    for name in fresh:
        await session.enable(name)
    await session.send(b"* ENABLED%b\r\n" % b"".join(b" " + ENABLABLE[name] for name in fresh))
    return ok(b"ENABLE completed")


COMMAND = Command(
    b"ENABLE",
    # RFC 6855 §3 and RFC 5161 §3.1: after the first SELECT it comes too late.
    State.AUTHENTICATED,
    parse,
    run,
    capabilities=(b"ENABLE", b"UTF8=ACCEPT", b"QRESYNC", b"UIDONLY"),
    updates=Updates.NONE,
)
