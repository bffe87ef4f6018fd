"""AUTHENTICATE: RFC 9051 §6.2.2 with an initial response (RFC 4959); mechanisms are those of `wire.sasl`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...wire.sasl import SASL_LINE_BYTES, Challenge, KeysWanted, Refusal, Refused, SaslServer, Step
from ..cursor import Cursor
from ..replies import Reply, bad, no
from .login import log_in
from .shape import Command, State, Updates

if TYPE_CHECKING:
    from ..session import Session

_INITIAL = re.compile(rb"[A-Za-z0-9+/=]+")


@dataclass(frozen=True, slots=True)
class Authenticate:
    """A mechanism, and the initial response as it stood there."""

    mechanism: str
    initial: bytes | None = field(repr=False)


def parse(cursor: Cursor) -> Authenticate:
    """The mechanism's name and, maybe, base64."""
    cursor.space()
    mechanism = cursor.word().decode("ascii")
    initial = None
    if not cursor.at_end():
        cursor.space()
        match = _INITIAL.match(cursor.data, cursor.position)
        if match is None:
            raise bad(b"Expected base64")
        initial = match[0]
        cursor.position = match.end()
    cursor.end()
    return Authenticate(mechanism, initial)


async def run(session: Session, request: Authenticate) -> Reply | None:
    """Starts the exchange; what follows comes by lines."""
    if not session.tls:
        raise no(b"Not without TLS", b"PRIVACYREQUIRED")
    server = SaslServer(session.door.terms)

    async def go_on(step: Step) -> Reply | None:
        while isinstance(step, KeysWanted):
            step = server.give(*await session.door.sasl_keys(step.user))
        if isinstance(step, Challenge):
            session.want_lines(take)
            await session.send(b"+ %b\r\n" % step.line)
            return None
        if not isinstance(step, Refused):
            if step.acting_as:
                raise no(b"Nobody can act as another here", b"AUTHORIZATIONFAILED")
            return await log_in(session, step)
        if step.reason is Refusal.UNKNOWN_MECHANISM:
            raise no(b"There is no such mechanism")
        if step.reason is Refusal.CANCELLED:
            raise bad(b"Cancelled")
        raise bad(b"The response is not what the mechanism says")

    async def take(line: bytes) -> Reply | None:
        if len(line) > SASL_LINE_BYTES:
            raise bad(b"The response is too long")
        return await go_on(server.step(line))

    return await go_on(server.start(request.mechanism, request.initial))


COMMAND = Command(b"AUTHENTICATE", State.NOT_AUTHENTICATED, parse, run, updates=Updates.NONE)
