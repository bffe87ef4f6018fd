"""The world as a check sees it: where the doors are, who can log in, and whom to ask.

Built by the command line from the spec and the site's keys (or, on the host, from its slice), and by `mailserver try`
with doors of its own on loopback.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from mailserver_py.net.resolver import Resolver
from mailserver_py.spec.listeners import Listener, open_listeners
from mailserver_py.spec.model import MailSpec, Stranger
from mailserver_py.zone import WantedRecord


@dataclass(frozen=True, slots=True)
class Door:
    """One listener of one host, where it can be reached."""

    host: str
    """The host name that its certificate must carry."""
    address: str
    port: int
    listener: Listener

    def __str__(self) -> str:
        return f"{self.host} {self.listener.name}:{self.port}"


@dataclass(frozen=True, slots=True)
class Login:
    """Someone who can log in. The password is never shown."""

    address: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class World:
    """Everything a check needs."""

    spec: MailSpec
    records: Sequence[WantedRecord]
    resolver: Resolver
    authority: Resolver
    """The same question, asked of the servers that own the zone."""
    doors: Sequence[Door]
    trust: ssl.SSLContext
    """Who may vouch for our hosts."""
    now: Callable[[], datetime]
    account: Login | None = None
    """The verification account; None when its password cannot be read here."""
    stranger: Stranger | None = None
    stranger_password: str = field(default="", repr=False)
    stranger_trust: ssl.SSLContext | None = None
    maildrop: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    """Held while a check has a POP3 session with the verification account."""
    state_dir: Path | None = None
    """The mail host's own state, when the verification runs on it."""
    runtime_dir: Path | None = None
    """Where its processes meet, likewise."""

    def doors_of(self, protocol: str, *, login: bool) -> list[Door]:
        """The doors where a protocol is spoken, the safest (implicit TLS) first."""
        rows = [d for d in self.doors if d.listener.protocol == protocol and d.listener.login == login]
        return sorted(rows, key=lambda d: not d.listener.implicit_tls)


def doors_of(spec: MailSpec) -> tuple[Door, ...]:
    """Every open listener at every public address of every host."""
    return tuple(
        Door(name, str(address), listener.port, listener)
        for name, host in spec.hosts.items()
        for address in (host.ipv4, host.ipv6)
        if address is not None
        for listener in open_listeners(spec.listeners)
    )
