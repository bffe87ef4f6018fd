"""What a command is: RFC 9051 §6. A leaf of `imap.commands` defines one `Command` named COMMAND (or several)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, IntFlag
from typing import TYPE_CHECKING, Generic, TypeVar

from ..cursor import Cursor
from ..replies import Reply

if TYPE_CHECKING:
    from ..session import Session

T = TypeVar("T")


class State(IntFlag):
    """The states of RFC 9051 §3; a command names those it is allowed in."""

    NOT_AUTHENTICATED = 1
    AUTHENTICATED = 2
    SELECTED = 4


ANY = State.NOT_AUTHENTICATED | State.AUTHENTICATED | State.SELECTED
LOGGED_IN = State.AUTHENTICATED | State.SELECTED


class Updates(Enum):
    """What the client may be told at the end of the command (RFC 9051 §7.5.1, §5.5)."""

    ALL = "all"
    NO_EXPUNGE = "no expunge"
    """FETCH, STORE and SEARCH; with the UID prefix they become ALL."""
    NONE = "none"
    """The command speaks of other things than the selected mailbox, or does its own telling."""


@dataclass(frozen=True, slots=True)
class Command(Generic[T]):
    """One verb: how its arguments are read, and what it does."""

    verb: bytes
    states: State
    parse: Callable[[Cursor], T]
    """Pure: the cursor stands behind the verb; consumes everything or raises Refused."""
    run: Callable[[Session, T], Awaitable[Reply | None]]
    """Answers with untagged responses by `session.send`, and returns the tagged one; None when it goes on with the
    client's next lines (`session.want_lines`) or has answered itself."""
    capabilities: tuple[bytes, ...] = ()
    """What CAPABILITY says because this command is here."""
    updates: Updates = Updates.ALL
    uid_form: bool = False
    """There is a `UID` form of it."""
    numbered: bool = False
    """Its plain form speaks of sequence numbers, which UIDONLY takes away (RFC 9586 §3.2)."""
    streams: Callable[[Cursor], bool] | None = None
    """Whether the literal that was just announced at the end of the cursor's text is a letter to be streamed."""
    admit: Callable[[Session, Cursor], Awaitable[None]] | None = None
    """Refuses such a letter before its octets come, by raising Refused."""


def parse_nothing(cursor: Cursor) -> None:
    """Arguments: none."""
    cursor.end()
