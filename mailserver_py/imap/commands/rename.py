"""RENAME: RFC 9051 §6.3.6. Children go with their mailbox; of INBOX the messages move and it stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...mailstore.values import SEPARATOR
from ..cursor import Cursor
from ..listing import serialize_old_name
from ..replies import Reply, ok
from .shape import LOGGED_IN, Command

if TYPE_CHECKING:
    from ..session import Session


@dataclass(frozen=True, slots=True)
class Rename:
    """The old name and the new one."""

    old: str
    new: str
    old_name: str = ""
    """The new name as it was written, when that is not its normal form."""


def parse(cursor: Cursor) -> Rename:
    """Two names."""
    cursor.space()
    old = cursor.mailbox()
    cursor.space()
    cursor.old_name = ""
    new = cursor.mailbox()
    cursor.end()
    return Rename(old, new.removesuffix(SEPARATOR) if len(new) > 1 else new, cursor.old_name)


async def run(session: Session, request: Rename) -> Reply:
    """Renames."""
    await session.owner().rename(request.old, request.new)
    await session.send(serialize_old_name(request.new, request.old_name, utf8=session.utf8))
    return ok(b"RENAME completed")


COMMAND = Command(b"RENAME", LOGGED_IN, parse, run)
