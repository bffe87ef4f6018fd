"""What stands behind the doors of a mail host: which session answers, and the words for those who do not get
one.

Which doors there are, and how they are called, is `spec.listeners`'.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mailserver_py.net.connection import Connection
from mailserver_py.smtp.extensions import Role
from mailserver_py.spec.listeners import Listener

from .context import DaemonContext
from .imap_session import serve_imap
from .pop3_session import serve_pop3
from .smtp_session import serve_smtp

Serve = Callable[[Connection, DaemonContext], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Protocol:
    """What is common to the doors of one protocol."""

    alpn: tuple[bytes, ...]
    """Names a client may offer (RFC 7301); one that offers only others is refused."""
    refusal: bytes
    """For a connection past a limit."""
    broken: str
    """The last words of a session that broke by a fault of ours; `{}` is the incident."""


SMTP = Protocol(
    (b"smtp", b"esmtp"),
    b"421 4.7.0 too many connections, try again later\r\n",
    "421 4.3.0 internal error, closing (incident {})\r\n",
)
"""No ALPN name is registered for SMTP; these are what other mail servers offer and take."""

IMAP = Protocol(
    (b"imap",),
    b"* BYE [UNAVAILABLE] too many connections, try again later\r\n",
    "* BYE [SERVERBUG] internal error (incident {})\r\n",
)

POP3 = Protocol(
    (b"pop3",),
    b"-ERR [SYS/TEMP] too many connections, try again later\r\n",
    "-ERR [SYS/PERM] internal error (incident {})\r\n",
)


PROTOCOLS = {"smtp": SMTP, "imap": IMAP, "pop3": POP3}
"""By the name that `spec.listeners` gives."""


async def serve_mx(connection: Connection, context: DaemonContext) -> None:
    """Port 25: mail from the world."""
    await serve_smtp(connection, context, Role.MX)


async def serve_submission(connection: Connection, context: DaemonContext) -> None:
    """Ports 465 and 587: mail from our users."""
    await serve_smtp(connection, context, Role.SUBMISSION)


def serve_of(listener: Listener) -> Serve:
    """The session behind a door."""
    if listener.protocol == "smtp":
        return serve_submission if listener.login else serve_mx
    return serve_imap if listener.protocol == "imap" else serve_pop3
