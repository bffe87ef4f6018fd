"""LOGIN: RFC 9051 §6.2.3; refused before TLS (LOGINDISABLED)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...wire.sasl import Claim, Credentials
from ..cursor import Cursor
from ..replies import Reply, bad, no, ok
from .shape import Command, State, Updates

if TYPE_CHECKING:
    from ..session import Session


@dataclass(frozen=True, slots=True)
class Login:
    """User and password as UTF-8 text."""

    user: str
    password: str = field(repr=False)


def parse(cursor: Cursor) -> Login:
    """Two astrings; RFC 9051 leaves 8-bit ones to the server, ours are UTF-8."""
    cursor.space()
    user = cursor.astring()
    cursor.space()
    password = cursor.astring()
    cursor.end()
    try:
        return Login(user.decode("utf-8"), password.decode("utf-8"))
    except UnicodeError:
        raise bad(b"Address and password are UTF-8") from None


async def run(session: Session, request: Login) -> Reply:
    """Checks the password."""
    return await log_in(session, Credentials("LOGIN", request.user, request.password))


async def log_in(session: Session, claim: Claim) -> Reply:
    """What LOGIN and AUTHENTICATE end with."""
    if not session.tls:
        raise no(b"Not without TLS", b"PRIVACYREQUIRED")
    account = await session.door.log_in(claim)
    if account is None:
        return await session.login_failed()
    session.logged_in(account)
    return ok(b"Logged in", b"CAPABILITY " + session.capabilities())


COMMAND = Command(b"LOGIN", State.NOT_AUTHENTICATED, parse, run, updates=Updates.NONE)
