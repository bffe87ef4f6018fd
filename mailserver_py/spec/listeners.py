"""The doors a mail host can have: one row each, with its standard port and what is spoken there (RFC 8314).

Provisioning opens sockets and the firewall from this table, the SRV records name it, the daemon serves it,
and verification knocks on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .model import Listeners


@dataclass(frozen=True, slots=True)
class Listener:
    """One door."""

    name: str
    """The field of `model.Listeners`, and the name of the systemd socket."""
    port: int
    protocol: Literal["smtp", "imap", "pop3"]
    implicit_tls: bool
    """TLS from the first byte; else STARTTLS or STLS."""
    login: bool
    """Whether our users log in here; only `smtp` on 25 is for the world."""
    srv: str = ""
    """The SRV label (RFC 6186, RFC 8314 §5.1), without the underscore; empty: clients are not led here."""


LISTENERS = (
    Listener("smtp", 25, "smtp", implicit_tls=False, login=False),
    Listener("submissions", 465, "smtp", implicit_tls=True, login=True, srv="submissions"),
    Listener("submission", 587, "smtp", implicit_tls=False, login=True, srv="submission"),
    Listener("imaps", 993, "imap", implicit_tls=True, login=True, srv="imaps"),
    Listener("imap", 143, "imap", implicit_tls=False, login=True, srv="imap"),
    Listener("pop3s", 995, "pop3", implicit_tls=True, login=True, srv="pop3s"),
    Listener("pop3", 110, "pop3", implicit_tls=False, login=True, srv="pop3"),
)
"""In the order in which people think of them: mail in, mail out, mail read."""


def open_listeners(listeners: Listeners) -> tuple[Listener, ...]:
    """The doors that the spec opens, in the table's order."""
    return tuple(row for row in LISTENERS if getattr(listeners, row.name))
