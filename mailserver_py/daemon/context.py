"""What a session is given: the settings, the store, and every source of time, chance and names.

`daemon.app` fills it once per process; sessions and the queue take it as an argument and reach for nothing else, so a
test gives them a clock that it moves and a store that it made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from mailserver_py.mailstore.port import Store
from mailserver_py.net.resolver import Resolver
from mailserver_py.senderauth.dkim.keys import SigningKey
from mailserver_py.spec.settings import HostSettings

from .hub import Hub
from .log import Log

if TYPE_CHECKING:
    from .policy import Policy

LEASE_S = 120
"""A queue lease: longer than any pause of a healthy process, short enough that a crash delays a letter by minutes only."""


class Clock(Protocol):
    """Wall time. Waits use the loop's own monotonic time, so a clock that jumps ends no session (promises R21)."""

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


class Passwords(Protocol):
    """Who may log in."""

    async def verify(self, address: str, password: str, peer_address: str = "") -> str | None:
        """The account that this address and password open, or None. Takes the same time for unknown addresses.

        `peer_address` is throttled when it guesses: then None comes late, whatever the password.
        """


class Drain:
    """Whether the process is about to end. Sessions look between commands and say their protocol's farewell."""

    def __init__(self) -> None:
        self._callbacks: set[Callable[[], None]] = set()
        self.started = False

    def start(self) -> None:
        """Tells every session, once."""
        self.started = True
        for callback in tuple(self._callbacks):
            callback()

    def on_start(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Calls back in the loop when draining starts (at once if it has); the answer takes the wish back."""
        if self.started:
            callback()
            return lambda: None
        self._callbacks.add(callback)
        return lambda: self._callbacks.discard(callback)


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
    """This process, as the owner of queue leases; never the same for two processes, not even after a restart."""
    signing_keys: Mapping[str, tuple[SigningKey, ...]] = field(default_factory=dict)
    """DKIM keys by domain (A-labels)."""
    drain: Drain = field(default_factory=Drain)
