"""CAPABILITY: RFC 9051 §7.2.2. The list is never written down: it is gathered from the menu of commands and the tables.

What is here is only the base, and what depends on the connection.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..wire.sasl import Terms, list_mechanisms
from . import commands, items, keys, listing, status_items
from .commands.shape import State

_BASE = (b"IMAP4rev2", b"IMAP4rev1", b"LITERAL+", b"SASL-IR")
"""LITERAL+ is the reader's (RFC 7888; LITERAL- would take it back), SASL-IR the AUTHENTICATE command's (RFC 4959)."""

_BEHAVIOUR = (b"INPROGRESS",)
"""What no command or table brings: INPROGRESS is that of `progress` (RFC 9585)."""


def list_capabilities(
    state: State, *, tls: bool, message_bytes: int, terms: Terms | None = None
) -> list[bytes]:
    """In menu order, each once."""
    return list(dict.fromkeys(_gather(state, terms or Terms(), tls=tls, message_bytes=message_bytes)))


def _gather(state: State, terms: Terms, *, tls: bool, message_bytes: int) -> Iterator[bytes]:
    """All of it before login already: clients that ask only once (imaplib) would never know else."""
    yield from _BASE
    if state is State.NOT_AUTHENTICATED:
        if tls:
            yield from (b"AUTH=%b" % name.encode() for name in list_mechanisms(terms))
        else:
            yield from (b"STARTTLS", b"LOGINDISABLED")
    for command in commands.MENU:
        yield from command.capabilities
    for table in (items.ITEMS, keys.KEYS, status_items.STATUS_ITEMS, listing.SELECTION, listing.RETURN):
        for row in table:
            if row.capability:
                yield row.capability
    yield from _BEHAVIOUR
    yield b"APPENDLIMIT=%d" % message_bytes
