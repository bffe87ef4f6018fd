"""The doors of a mail host: which session answers at which, and the words for those who do not get one.

The names are those of `spec.model.Listeners` and of the systemd sockets' file descriptors.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mailserver_py.net.connection import Connection
from mailserver_py.smtp.extensions import Role

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


@dataclass(frozen=True, slots=True)
class Listener:
    """One door."""

    name: str
    port: int
    protocol: Protocol
    implicit_tls: bool
    serve: Serve


async def _serve_mx(connection: Connection, context: DaemonContext) -> None:
    await serve_smtp(connection, context, Role.MX)


async def _serve_submission(connection: Connection, context: DaemonContext) -> None:
    await serve_smtp(connection, context, Role.SUBMISSION)


LISTENERS = (
    Listener("smtp", 25, SMTP, False, _serve_mx),
    Listener("submissions", 465, SMTP, True, _serve_submission),
    Listener("submission", 587, SMTP, False, _serve_submission),
    Listener("imaps", 993, IMAP, True, serve_imap),
    Listener("imap", 143, IMAP, False, serve_imap),
    Listener("pop3s", 995, POP3, True, serve_pop3),
    Listener("pop3", 110, POP3, False, serve_pop3),
)
"""In the order of `spec.model.Listeners`."""
