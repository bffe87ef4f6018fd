"""The commands: RFC 1939 §5 to §7, RFC 2449 §5, RFC 2595 §4, RFC 5034 §4, RFC 6856 §2 and §3.

A row says all that is known of a command: its state, its arguments, its capability line, what it does.
APOP is not offered: it needs passwords that can be read on the server.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from mailserver_py.wire.sasl import list_mechanisms

from . import replies
from .events import Event, Retrieve, Signal, Update
from .maildrop import Entry, Maildrop

if TYPE_CHECKING:
    from .session import ServerSession


class State(Enum):
    """RFC 1939 §3, and the pauses between."""

    AUTHORIZATION = "authorization"
    SASL = "inside a SASL exchange"
    TLS = "TLS begins"
    TRANSACTION = "transaction"
    CLOSED = "closed"


Run = Callable[["ServerSession", str], Event | None]
"""Gets the arguments as one text. Answers by `session.send`, or returns an event that the owner answers."""


@dataclass(frozen=True, slots=True)
class Command:
    """One row."""

    verb: str
    states: tuple[State, ...]
    run: Run
    capability: Callable[[ServerSession], str] = lambda _: ""
    """The line in CAPA's answer, as things stand; empty for none."""
    takes_arguments: bool = True


# ---- before the login


def _capa(session: ServerSession, _: str) -> None:
    lines = [line for command in COMMANDS.values() if (line := command.capability(session))]
    session.send_list("Capabilities follow", lines + list(_ALWAYS))


def _stls(session: ServerSession, _: str) -> Event | None:
    if session.tls_active:
        return session.send(replies.TLS_ACTIVE)
    if not session.tls_available:
        return session.send(replies.TLS_UNAVAILABLE)
    if session.buffered_bytes:
        # Commands behind STLS in the clear: an injection (CVE-2021-33515 and its kin). None of them is to
        # be run.
        return session.end(replies.NOTHING_MAY_FOLLOW)
    session.send(replies.START_TLS)
    session.state = State.TLS
    return Signal.START_TLS


def _user(session: ServerSession, name: str) -> None:
    if not session.tls_active:
        session.send(replies.TLS_FIRST)
    elif not name:
        session.send_bad(replies.BAD_ARGUMENTS)
    else:
        session.user = name
        # The same for every name: who exists is nobody's to know.
        session.send(replies.ok("Now the password"))


def _pass(session: ServerSession, password: str) -> Event | None:
    if not session.tls_active:
        return session.send(replies.TLS_FIRST)
    if not session.user:
        return session.send(replies.USER_FIRST)
    user, session.user = session.user, ""
    if not password:
        return session.send_bad(replies.BAD_ARGUMENTS)
    return session.log_in("USER", user, password)


def _auth(session: ServerSession, arguments: str) -> Event | None:
    if not session.tls_active:
        return session.send(replies.TLS_FIRST)
    if not arguments:
        # Older clients ask so for the mechanisms (RFC 1734's habit, still spoken).
        session.send_list("Mechanisms follow", list_mechanisms(session.terms))
        return None
    mechanism, _, initial = arguments.partition(" ")
    return session.start_sasl(mechanism, initial.encode() if initial else None)


# ---- after it


def _stat(session: ServerSession, _: str) -> None:
    session.send(replies.ok(f"{session.maildrop.count} {session.maildrop.size_bytes}"))


def _list(session: ServerSession, number: str) -> None:
    def line(_: Maildrop, entry: Entry) -> str:
        return str(entry.size_bytes)

    _listing(session, number, line)


def _uidl(session: ServerSession, number: str) -> None:
    def line(maildrop: Maildrop, entry: Entry) -> str:
        return maildrop.unique_id(entry)

    _listing(session, number, line)


def _listing(session: ServerSession, number: str, line: Callable[[Maildrop, Entry], str]) -> None:
    """Of one message or of all."""
    maildrop = session.maildrop
    if number:
        entry = _chosen(session, number)
        if entry is not None:
            session.send(replies.ok(f"{int(number)} {line(maildrop, entry)}"))
        return
    session.send_list(
        f"{maildrop.count} messages", [f"{index} {line(maildrop, entry)}" for index, entry in maildrop]
    )


def _retr(session: ServerSession, number: str) -> Event | None:
    entry = _chosen(session, number)
    return None if entry is None else session.ask("RETR", Retrieve(entry, None))


def _top(session: ServerSession, arguments: str) -> Event | None:
    number, _, lines = arguments.partition(" ")
    if not _is_number(lines):
        return session.send_bad(replies.BAD_ARGUMENTS)
    entry = _chosen(session, number)
    return None if entry is None else session.ask("TOP", Retrieve(entry, int(lines)))


def _dele(session: ServerSession, number: str) -> None:
    if _chosen(session, number) is not None:
        session.maildrop.delete(int(number))
        session.send(replies.ok("Marked as deleted"))


def _rset(session: ServerSession, _: str) -> None:
    session.maildrop.reset()
    session.send(replies.ok(f"{session.maildrop.count} messages"))


def _noop(session: ServerSession, _: str) -> None:
    session.send(replies.ok())


def _quit(session: ServerSession, _: str) -> Event | None:
    if session.state is not State.TRANSACTION:
        return session.end(replies.ok("Goodbye"))
    deleted = session.maildrop.deleted_uids
    stays = session.maildrop.retrieved_uids.difference(deleted)
    return session.ask("QUIT", Update(tuple(deleted), tuple(sorted(stays))))


def _utf8(session: ServerSession, _: str) -> None:
    # Deviation: RFC 6856 §2.1 wants non-ASCII letters refused without this mode. Every client of today
    # reads them, and to refuse one is to take it from its owner; so the mode changes nothing.
    session.send(replies.ok("Letters are sent as they are"))


def _lang(session: ServerSession, tag: str) -> None:
    if not tag:
        session.send_list("Languages follow", ["en English"])
    elif tag == "*" or tag.lower() == "en":
        session.send(replies.ok("en English it is"))
    else:
        session.send(replies.UNKNOWN_LANGUAGE)


def _chosen(session: ServerSession, number: str) -> Entry | None:
    """The message that an argument names, or None after saying why not."""
    if not _is_number(number):
        session.send_bad(replies.BAD_ARGUMENTS)
        return None
    entry = session.maildrop.entry(int(number))
    if entry is None:
        session.send(replies.NO_SUCH_MESSAGE)
        return None
    if session.maildrop.is_deleted(int(number)):
        session.send(replies.IS_DELETED)
        return None
    return entry


def _is_number(text: str) -> bool:
    # Ten digits are more messages than a UID can count (RFC 9051 §2.3.1.1); int() of more costs time for
    # nothing.
    return text.isascii() and text.isdigit() and len(text) <= 10


# ---- the table

_BEFORE = (State.AUTHORIZATION,)
_AFTER = (State.TRANSACTION,)
_EVER = (State.AUTHORIZATION, State.TRANSACTION)


def _may_log_in(session: ServerSession) -> bool:
    return session.tls_active and session.state is State.AUTHORIZATION


def _rows(*rows: Command) -> dict[str, Command]:
    return {row.verb: row for row in rows}


COMMANDS = _rows(
    Command("CAPA", _EVER, _capa, takes_arguments=False),
    Command(
        "STLS",
        _BEFORE,
        _stls,
        lambda s: "STLS" if s.tls_available and not s.tls_active and s.state is State.AUTHORIZATION else "",
        takes_arguments=False,
    ),
    Command("USER", _BEFORE, _user, lambda s: "USER" if _may_log_in(s) else ""),
    Command("PASS", _BEFORE, _pass),
    # Announced after the login too, so that CAPA shows what was there (RFC 2449 §6.3: both states).
    Command(
        "AUTH", _BEFORE, _auth, lambda s: f"SASL {' '.join(list_mechanisms(s.terms))}" if s.tls_active else ""
    ),
    Command("UTF8", _BEFORE, _utf8, lambda _: "UTF8", takes_arguments=False),
    Command("LANG", _EVER, _lang, lambda _: "LANG"),
    Command("STAT", _AFTER, _stat, takes_arguments=False),
    Command("LIST", _AFTER, _list),
    Command("UIDL", _AFTER, _uidl, lambda _: "UIDL"),
    Command("RETR", _AFTER, _retr),
    Command("TOP", _AFTER, _top, lambda _: "TOP"),
    Command("DELE", _AFTER, _dele),
    Command("RSET", _AFTER, _rset, takes_arguments=False),
    Command("NOOP", _AFTER, _noop, takes_arguments=False),
    Command("QUIT", _EVER, _quit, takes_arguments=False),
)

_ALWAYS: Sequence[str] = ("PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "EXPIRE NEVER")
"""Capabilities that are no command's (RFC 2449 §6, RFC 3206 §5): letters stay until their owner removes
them."""
