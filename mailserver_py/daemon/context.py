"""What a session is given: the settings, the store, and every source of time, chance and names.

`daemon.app` fills it once per process; sessions and the queue take it as an argument and reach for nothing
else, so a test gives them a clock that it moves and a store that it made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from mailserver_py.mailstore.port import Store
from mailserver_py.net.connection import Connection
from mailserver_py.net.resolver import Resolver
from mailserver_py.senderauth.dkim.keys import SigningKey
from mailserver_py.spec.settings import HostSettings
from mailserver_py.wire.sasl import Keys

from .guesses import Guess
from .hub import Hub
from .log import Log
from .maildrop_locks import MaildropLocks

if TYPE_CHECKING:
    from .policy import Policy

LEASE_S = 120
"""A queue lease: longer than any pause of a healthy process, short enough that a crash delays a letter by
minutes only.
"""


class Clock(Protocol):
    """Wall time. Waits use the loop's own monotonic time, so a clock that jumps ends no session (promises
    R21).
    """

    def now_s(self) -> int:
        """Whole seconds since the epoch."""

    def now(self) -> datetime:
        """Aware, UTC."""


class FrozenClock:
    """A clock for tests: stands until moved."""

    def __init__(self, at_s: float = 1_800_000_000) -> None:
        self.at_s = at_s

    def now_s(self) -> int:
        return int(self.at_s)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at_s, UTC)


@dataclass(frozen=True, slots=True)
class ScramTry:
    """A SCRAM exchange that has begun: what the mechanism is given, and what its end is judged by."""

    keys: Keys
    account: str = ""
    """Empty when nobody can log in by this."""
    guess: Guess | None = None
    """None: there was none left, or none is counted."""


class Passwords(Protocol):
    """Who may log in."""

    @property
    def offers_scram(self) -> bool:
        """Whether every account has SCRAM keys."""

    async def verify(self, address: str, password: str, peer_address: str = "") -> str | None:
        """The account that this address and password open, or None. Takes the same time for unknown
        addresses.

        `peer_address` is throttled when it guesses: then None comes late, whatever the password.
        """

    async def begin_scram(self, address: str, peer_address: str = "") -> ScramTry:
        """The address's keys, or, for unknown ones and who guesses too much, such as no password fits."""

    def end_scram(self, begun: ScramTry, *, proven: bool) -> str | None:
        """The account that a proven exchange opens, or None; `begun` is what `begin_scram` gave."""


class Drain:
    """Whether the process is about to end.

    Between commands, and only there, a session reads by `drain.read`; None means: say your protocol's
    farewell (SMTP's 421, IMAP's BYE) and return. Inside a letter or a literal it reads by `connection.read`.
    """

    def __init__(self) -> None:
        self._waits: set[asyncio.Timeout] = set()
        self.started = False

    def start(self) -> None:
        """Wakes every session that waits for a command."""
        self.started = True
        for wait in tuple(self._waits):
            wait.reschedule(0)

    async def read(self, connection: Connection, timeout_s: float) -> bytes | None:
        """As `Connection.read`, but None when the process is about to end; no byte is lost by that."""
        if self.started:
            return None
        try:
            async with asyncio.timeout(timeout_s) as wait:
                self._waits.add(wait)
                try:
                    # The inner limit is never the one that ends the wait.
                    return await connection.read(timeout_s + 60)
                finally:
                    self._waits.discard(wait)
        except TimeoutError:
            if self.started:
                return None
            raise


@dataclass(frozen=True, slots=True)
class DaemonContext:
    """Everything around a session."""

    settings: HostSettings
    store: Store
    passwords: Passwords
    clock: Clock
    log: Log
    hub: Hub
    resolver: Resolver
    ids: Callable[[], str]
    """Unguessable ids, 16 characters of lower-case base32: trace ids, incident ids, Message-IDs."""
    policy: Policy
    """Whom we accept letters for, and as whom an account may send."""
    owner: str = "test"
    """This process, as the owner of queue leases; never the same for two processes, not even after a
    restart.
    """
    signing_keys: Mapping[str, tuple[SigningKey, ...]] = field(default_factory=dict)
    """DKIM keys by domain (A-labels)."""
    drain: Drain = field(default_factory=Drain)
    maildrop_locks: MaildropLocks = field(default_factory=MaildropLocks)
    """With a folder that all processes of the host share, so that a maildrop has one POP3 session at a time."""
