"""The one place that wires: chooses the store, the resolver, the clock and chance, and opens the doors.

`App.run` is a process's life: ready, serving, draining, gone. A part that dies, or a store that can promise
nothing more, ends the process; systemd starts another.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import random
import secrets
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mailserver_py.errors import OperatorError, Reason, WorldError
from mailserver_py.imap.digest import derive
from mailserver_py.mailstore.embedded import EmbeddedStore
from mailserver_py.mailstore.values import Changed
from mailserver_py.net.bus import Bus
from mailserver_py.net.connection import Connection, Handler, Peer
from mailserver_py.net.dial import dial
from mailserver_py.net.resolver import Resolver, StubResolver
from mailserver_py.net.server import Door, Gate, Server
from mailserver_py.net.systemd import Notifier
from mailserver_py.net.tls import TlsContexts, opportunistic_context
from mailserver_py.spec.listeners import LISTENERS, Listener
from mailserver_py.spec.settings import HostSettings

from .account_rules import derive_rules
from .acme_responder import answer_challenge
from .context import DaemonContext, Drain
from .credentials import load_credentials
from .guesses import Guesses
from .hub import Hub
from .leases import watch_leases
from .listeners import PROTOCOLS, serve_of
from .log import Log
from .maildrop_locks import MaildropLocks
from .maintenance import keep_house
from .options import Options, Part, load_settings
from .outbound import World
from .passwords import ArgonPasswords
from .policy import Policy
from .queue import QueueRunner
from .rehearsal import Rehearsal, load_rehearsal
from .route import Ownership

TICK_S = 2.0
"""Between looks at the certificate, the store and the parts; a new certificate is served within it."""

DRAIN_S = 40.0
"""For sessions and deliveries in hand; below the units' TimeoutStopSec of 60."""

SETTLE_S = 0.05
"""After the doors close: connections just accepted become sessions."""

HTTP = "http"
"""The name of the socket for certificate challenges."""

HTTP_CONNECTIONS_COUNT = 100
HTTP_CONNECTIONS_PER_ADDRESS_COUNT = 20
"""Certificate authorities look from a handful of places at once; nobody else has business here."""


class SystemClock:
    """The machine's wall clock."""

    def now_s(self) -> int:
        """Whole seconds since the epoch."""
        return int(time.time())

    def now(self) -> datetime:
        """Aware, UTC."""
        return datetime.now(UTC)


def make_id() -> str:
    """80 random bits in 16 characters."""
    return base64.b32encode(secrets.token_bytes(10)).decode().lower()


class App:
    """One process."""

    def __init__(
        self, options: Options, sockets: Mapping[str, Sequence[socket.socket]], notifier: Notifier
    ) -> None:
        """Opens everything but the doors. Raises OperatorError, WorldError."""
        self._options = options
        self._sockets = sockets
        self._notifier = notifier
        self._stop = asyncio.Event()
        settings = load_settings(options.settings)
        credentials = load_credentials(options.credentials, settings)
        rehearsal = load_rehearsal(options.rehearsal) if options.rehearsal is not None else None
        clock, hub = SystemClock(), Hub()
        owner = f"{options.part.value}.{os.getpid()}.{make_id()}"
        self._bus = Bus(
            options.runtime, owner, lambda account, mailbox_id: hub.publish(Changed(account, mailbox_id))
        )

        def announce(changed: Changed) -> None:
            hub.publish(changed)
            self._bus.tell(changed.account, changed.mailbox_id)

        self._store = EmbeddedStore.open(
            options.state, announce=announce, digest=derive, clock=time.time, rules=derive_rules(settings)
        )
        self._passwords = ArgonPasswords(
            credentials.password_hashes,
            frozenset(name for name, account in settings.accounts.items() if account.enabled),
            keys=credentials.scram_keys,
            guesses=_open_guesses(options.state / "guesses"),
        )
        resolver: Resolver = rehearsal.resolver if rehearsal else StubResolver(settings.resolver)
        self._tls = TlsContexts(
            options.tls / settings.hostname / "current",
            {protocol.alpn for protocol in PROTOCOLS.values()},
        )
        self.context = DaemonContext(
            settings=settings,
            store=self._store,
            passwords=self._passwords,
            clock=clock,
            log=Log(clock.now),
            hub=hub,
            resolver=resolver,
            ids=make_id,
            policy=Policy(settings, resolver),
            owner=owner,
            signing_keys=credentials.signing_keys,
            drain=Drain(),
            maildrop_locks=MaildropLocks(options.runtime / "maildrops"),
        )
        self._runner = QueueRunner(self.context, _world(settings, resolver, rehearsal))
        self._servers: list[Server] = []
        self._look_at_certificate()

    async def run(self) -> None:
        """Serves until SIGTERM or SIGINT. Raises WorldError when this process cannot go on."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._stray)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        parts: list[asyncio.Task[None]] = []
        try:
            if self._options.part is not Part.QUEUE:
                self._open_doors()
            if self._options.part is not Part.WORKER:
                parts.append(asyncio.create_task(self._runner.run(), name="queue"))
                parts.append(self._upkeep())
                parts.append(asyncio.create_task(watch_leases(self.context, self._bus.gone), name="leases"))
            self._notifier.ready(f"{self._options.part.value}, {len(self._servers)} listeners")
            self.context.log.event("process.ready", part=self._options.part.value, pid=os.getpid())
            await self._live(parts)
        finally:
            await self._end(parts)

    def _upkeep(self) -> asyncio.Task[None]:
        house = keep_house(self.context, self._options.state, self._store.maintain)
        return asyncio.create_task(house, name="upkeep")

    async def _live(self, parts: Sequence[asyncio.Task[None]]) -> None:
        tick_s = min(TICK_S, self._notifier.watchdog_s or TICK_S)
        while not self._stop.is_set():
            self._notifier.alive()
            self._look_at_certificate()
            if self._store.suspect:
                self.context.log.event("store.suspect", error=self._store.suspect)
                raise WorldError(f"the store can promise nothing more: {self._store.suspect}")
            for part in parts:
                if part.done():
                    part.result()
                    raise WorldError(f"the part {part.get_name()} ended")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(tick_s):
                    await self._stop.wait()

    async def _end(self, parts: Sequence[asyncio.Task[None]]) -> None:
        """Sessions hear of it between commands; deliveries in hand are finished; promises are kept."""
        count = sum(server.session_count for server in self._servers)
        self._notifier.stopping(f"draining {count} sessions")
        for server in self._servers:
            server.stop_listening()
        await asyncio.sleep(SETTLE_S)
        self.context.drain.start()
        self.context.hub.publish(Changed(""))  # wakes the runner, which sees that it is to stop
        await asyncio.gather(
            *(server.drain(DRAIN_S) for server in self._servers), self._runner.drain(DRAIN_S)
        )
        for part in parts:
            part.cancel()
        await asyncio.gather(*parts, return_exceptions=True)
        self._bus.close()
        self._passwords.close()
        await self._store.close()
        self.context.log.event("process.ended", part=self._options.part.value, sessions=count)

    def _open_doors(self) -> None:
        settings = self.context.settings
        gate = Gate(settings.limits.connections, settings.limits.connections_per_address)
        for listener in LISTENERS:
            for sock in self._sockets.get(listener.name, ()):
                self._servers.append(Server(sock, self._door(listener, gate)))
        challenges = self._options.runtime / "acme"
        http = Door(
            handler=lambda connection: answer_challenge(connection, challenges),
            gate=Gate(HTTP_CONNECTIONS_COUNT, HTTP_CONNECTIONS_PER_ADDRESS_COUNT),
        )
        self._servers += [Server(sock, http) for sock in self._sockets.get(HTTP, ())]
        if not self._servers:
            raise OperatorError(
                Reason(
                    "no listening sockets were passed", "systemd passes them; by hand, use `mailserver try`"
                )
            )

    def _door(self, listener: Listener, gate: Gate) -> Door:
        def refused(peer: Peer, reason: str) -> None:
            self.context.log.event(
                "connection.refused", listener=listener.name, peer=peer.address, reason=reason
            )

        return Door(
            handler=self._guarded(listener),
            gate=gate,
            tls=self._tls,
            alpn=PROTOCOLS[listener.protocol].alpn,
            implicit_tls=listener.implicit_tls,
            refusal=PROTOCOLS[listener.protocol].refusal,
            on_refused=refused,
        )

    def _guarded(self, listener: Listener) -> Handler:
        """A session's bug ends that session, with an incident's number to quote and nothing else said."""
        context, serve = self.context, serve_of(listener)

        async def handle(connection: Connection) -> None:
            try:
                await serve(connection, context)
            except (ConnectionError, TimeoutError):
                raise
            except Exception as error:
                incident = context.ids()
                context.log.incident(error, incident, listener=listener.name, peer=connection.peer.address)
                await connection.write(PROTOCOLS[listener.protocol].broken.format(incident).encode())

        return handle

    def _stray(self, loop: asyncio.AbstractEventLoop, about: dict[str, Any]) -> None:
        """What escaped everybody: one line like any other incident."""
        error = about.get("exception") or RuntimeError(about.get("message", ""))
        self.context.log.incident(error, self.context.ids())

    def _look_at_certificate(self) -> None:
        try:
            if self._tls.reload():
                self.context.log.event("cert.loaded")
        except ValueError as error:
            self.context.log.event("cert.unusable", error=str(error))


def _open_guesses(file: Path) -> Guesses:
    """In memory where the disk refuses: that it is full is no reason to let nobody read."""
    try:
        return Guesses(file, time.time)
    except OSError:
        return Guesses(None, time.time)


def _world(settings: HostSettings, resolver: Resolver, rehearsal: Rehearsal | None) -> World:
    chance = random.SystemRandom()
    shuffle: Callable[[list[str]], None] = chance.shuffle
    own = Ownership(settings.hostname, settings.ipv4, settings.ipv6, allow_loopback=rehearsal is not None)
    return World(resolver, rehearsal.dial if rehearsal else dial, opportunistic_context(), own, shuffle)
