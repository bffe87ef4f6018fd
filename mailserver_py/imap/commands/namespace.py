"""NAMESPACE: RFC 9051 §6.3.10, RFC 2342. One personal namespace; nothing is shared yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...mailstore.values import SEPARATOR
from ..replies import Reply, ok
from .shape import LOGGED_IN, Command, parse_nothing

if TYPE_CHECKING:
    from ..session import Session


async def run(session: Session, request: None) -> Reply:
    """Names the namespaces."""
    await session.send(b'* NAMESPACE (("" "%b")) NIL NIL\r\n' % SEPARATOR.encode())
    return ok(b"NAMESPACE completed")


COMMAND = Command(b"NAMESPACE", LOGGED_IN, parse_nothing, run, capabilities=(b"NAMESPACE",))
