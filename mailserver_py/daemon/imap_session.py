"""An IMAP connection: carries bytes between a `Connection` and `imap.session`, keeps the deadlines, wakes IDLE.

Deadlines are totals: a login has LOGIN_S from the greeting on, a command COMMAND_S from its first byte on (longer for a
letter that keeps coming), and silence between commands ends after AUTOLOGOUT_S (RFC 9051 §5.4).
"""

from __future__ import annotations

import asyncio

from mailserver_py.imap.session import Session
from mailserver_py.mailstore.port import Account, Staging
from mailserver_py.net.connection import Connection, Deadline
from mailserver_py.wire.sasl import Claim, Keys, Terms

from .context import DaemonContext
from .hub import Listener
from .logins import FAILURE_DELAY_S, Logins

LOGIN_S = 120
"""From the greeting to a login; people may type a password meanwhile, and mobile links are slow."""
COMMAND_S = 120
"""For a whole command once it began, letters aside."""
LETTER_BYTES_PER_S = 1000
"""A letter that streams in earns time at this rate: 25 MiB in seven hours is nobody's link."""
AUTOLOGOUT_S = 1800
"""RFC 9051 §5.4: at least 30 minutes; the same in IDLE, which clients renew every 29 (RFC 2177 §3)."""


class ImapDoor:
    """The session's view of the daemon (`imap.door.Door`)."""

    def __init__(self, connection: Connection, context: DaemonContext, failure_delay_s: float) -> None:
        self.connection = connection
        self.context = context
        self.listener: Listener | None = None
        self._logins = Logins(connection, context, "imap", failure_delay_s)

    async def send(self, data: bytes) -> None:
        """To the client."""
        await self.connection.write(data)

    async def start_tls(self) -> None:
        """TLS from here on."""
        await self.connection.start_tls()

    @property
    def terms(self) -> Terms:
        """What SASL may offer."""
        return self._logins.terms

    async def sasl_keys(self, user: str) -> tuple[Keys, str]:
        """The user's keys, or made-up ones, and a nonce."""
        return await self._logins.keys(user)

    async def log_in(self, claim: Claim) -> Account | None:
        """The account, or None after a while."""
        name = await self._logins.judge(claim)
        if name is None:
            return None
        settings = self.context.settings.accounts.get(name)
        account = await self.context.store.account(name, settings.quota_bytes if settings else 0)
        self.listener = self.context.hub.listen(name)
        return account

    def log_out(self) -> None:
        """Nothing of the account is listened for any more."""
        if self.listener is not None:
            self.listener.close()
            self.listener = None

    def stage(self) -> Staging:
        """A place for a letter."""
        return self.context.store.stage()

    async def pause(self) -> None:
        """A turn for everybody else."""
        await asyncio.sleep(0)

    def now_s(self) -> int:
        """Wall time."""
        return self.context.clock.now_s()

    def incident(self, error: BaseException) -> str:
        """One log line with the traceback; its id."""
        return self.context.log.incident(error, self.context.ids(), protocol="imap")


async def serve_imap(
    connection: Connection, context: DaemonContext, *, failure_delay_s: float = FAILURE_DELAY_S
) -> None:
    """Serves one connection from the greeting to the end. Raises what the connection raises."""
    door = ImapDoor(connection, context, failure_delay_s)
    session = Session(
        door, tls=connection.tls is not None, message_bytes=int(context.settings.limits.message_size)
    )
    try:
        await session.greet()
        await _converse(connection, context, door, session)
    finally:
        door.log_out()
        await session.close()


async def _converse(connection: Connection, context: DaemonContext, door: ImapDoor, session: Session) -> None:
    login = Deadline(LOGIN_S)
    command: Deadline | None = None
    received_bytes = 0
    while not session.ended:
        if not session.midway:
            command, received_bytes = None, 0
        elif command is None:
            command = Deadline(COMMAND_S, rate_bytes_per_s=LETTER_BYTES_PER_S)
        limit_s = login.left_s() if session.account is None else AUTOLOGOUT_S
        try:
            data: bytes | None
            if session.idling and door.listener is not None:
                data = await _idle(connection, context, door.listener, session)
            elif command is not None:
                letter_bytes = received_bytes if session.in_message else 0
                data = await connection.read(min(limit_s, command.left_s(letter_bytes)))
            else:
                data = await context.drain.read(connection, limit_s)
        except TimeoutError:
            await session.farewell(b"Too long without a whole command")
            return
        if data is None:
            await session.farewell(b"The server is restarting, connect again", b"UNAVAILABLE")
            return
        if not data:
            return
        received_bytes += len(data)
        await session.receive(data)


async def _idle(
    connection: Connection, context: DaemonContext, listener: Listener, session: Session
) -> bytes | None:
    """Waits for the client's bytes, and tells the news meanwhile."""
    reading = asyncio.ensure_future(context.drain.read(connection, AUTOLOGOUT_S))
    ringing = asyncio.ensure_future(listener.wait())
    try:
        while True:
            await asyncio.wait((reading, ringing), return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                return reading.result()
            await session.changed(tuple(listener.drain()))
            if session.ended:
                return b""
            ringing = asyncio.ensure_future(listener.wait())
    finally:
        for task in (reading, ringing):
            task.cancel()
        await asyncio.gather(reading, ringing, return_exceptions=True)
