"""A POP3 connection: carries bytes between a `Connection` and `pop3.session`, and answers its events.

Deadlines are totals: a login has LOGIN_S from the greeting on, a command COMMAND_S from its first byte on,
and silence between commands ends after AUTOLOGOUT_S (RFC 1939 §3), without an update.
"""

from __future__ import annotations

from contextlib import ExitStack

from mailserver_py.errors import WorldError
from mailserver_py.mailstore.port import Account
from mailserver_py.mailstore.values import (
    INBOX,
    Flag,
    FlagChange,
    Mailbox,
    StoreError,
)
from mailserver_py.net.connection import Connection, Deadline
from mailserver_py.pop3 import replies
from mailserver_py.pop3.events import Closed, Event, Login, Retrieve, SaslKeys, Signal, Update
from mailserver_py.pop3.letter import serialize_pieces, top
from mailserver_py.pop3.maildrop import Entry, Maildrop
from mailserver_py.pop3.session import ServerSession
from mailserver_py.wire.sasl import Claim

from .context import DaemonContext
from .logins import FAILURE_DELAY_S, Logins

LOGIN_S = 120
"""From the greeting to a login. Deviation: RFC 1939 §3's ten minutes are for sessions that hold a
maildrop; one without a login holds only our memory."""

COMMAND_S = 60
"""For a whole command once it began; the longest is one line of base64."""

AUTOLOGOUT_S = 600
"""RFC 1939 §3: at least ten minutes."""


async def serve_pop3(
    connection: Connection, context: DaemonContext, *, failure_delay_s: float = FAILURE_DELAY_S
) -> None:
    """Serves one connection from the greeting to the end. Raises what the connection raises."""
    with ExitStack() as held:
        await _Conversation(connection, context, failure_delay_s, held).run()


class _Conversation:
    """One session's state outside of the protocol."""

    def __init__(
        self, connection: Connection, context: DaemonContext, failure_delay_s: float, held: ExitStack
    ) -> None:
        self.connection = connection
        self.context = context
        self.logins = Logins(connection, context, "pop3", failure_delay_s)
        self.held = held
        """Lets go of the maildrop when the session ends, however it does."""
        self.session = ServerSession(
            context.settings.hostname,
            tls_active=connection.tls is not None,
            tls_available=connection.can_start_tls,
            terms=self.logins.terms,
        )
        self.account: Account | None = None
        self.mailbox: Mailbox | None = None

    async def run(self) -> None:
        login = Deadline(LOGIN_S)
        command: Deadline | None = None
        while True:
            event = self.session.next_event()
            if isinstance(event, Closed):
                await self._flush()
                return
            if event is not Signal.NEED_DATA:
                command = None
                await self._answer_safely(event)
                continue
            await self._flush()
            if not self.session.midway:
                command = None
            elif command is None:
                command = Deadline(COMMAND_S)
            limit_s = login.left_s() if self.account is None else AUTOLOGOUT_S
            data: bytes | None
            try:
                if command is not None:
                    data = await self.connection.read(min(limit_s, command.left_s()))
                else:
                    data = await self.context.drain.read(self.connection, limit_s)
            except TimeoutError:
                self.session.close(replies.IDLE_TOO_LONG)
                continue
            if data is None:
                # POP3 has no farewell that the client did not ask for; the next session finds all as it was.
                self.session.close()
                continue
            self.session.receive(data)

    async def _flush(self) -> None:
        data = self.session.data_to_send()
        if data:
            await self.connection.write(data)

    async def _answer_safely(self, event: Event) -> None:
        """A store that fails is a reply; a bug of ours is one too, and ends the session."""
        try:
            await self._answer(event)
        except (StoreError, WorldError):
            self.session.refuse(
                replies.NOT_REMOVED
                if isinstance(event, Update)
                else replies.MESSAGE_UNAVAILABLE
                if isinstance(event, Retrieve)
                else replies.MAILDROP_UNAVAILABLE
            )
        except OSError:
            # The connection's own end; the skin knows what to do.
            raise
        except Exception as error:
            incident = self.context.log.incident(error, self.context.ids(), protocol="pop3")
            self.session.close(replies.incident(incident))

    async def _answer(self, event: Event) -> None:
        if event is Signal.START_TLS:
            await self._flush()
            await self.connection.start_tls()
            self.session.tls_started(self.logins.terms)
        elif isinstance(event, SaslKeys):
            self.session.give_keys(*await self.logins.keys(event.user))
        elif isinstance(event, Login):
            await self._log_in(event.claim)
        elif isinstance(event, Retrieve):
            await self._retrieve(event)
        elif isinstance(event, Update):
            await self._update(event)

    async def _log_in(self, claim: Claim) -> None:
        context = self.context
        name = await self.logins.judge(claim)
        if name is None:
            self.session.refuse(replies.ACTING_AS_REFUSED if claim.acting_as else replies.LOGIN_REFUSED)
            return
        if not self.held.enter_context(context.maildrop_locks.hold(name)):
            self.held.close()
            self.session.refuse(replies.IN_USE)
            return
        try:
            settings = context.settings.accounts.get(name)
            account = await context.store.account(name, settings.quota_bytes if settings else 0)
            mailbox = await account.mailbox(INBOX)
            messages = await account.messages(mailbox.mailbox_id)
        except BaseException:
            self.held.close()
            raise
        self.account, self.mailbox = account, mailbox
        entries = [Entry(message.uid, message.size_bytes) for message in messages]
        self.session.opened(Maildrop(mailbox.uid_validity, entries))

    async def _retrieve(self, event: Retrieve) -> None:
        account, mailbox = self.account, self.mailbox
        assert account is not None
        assert mailbox is not None
        found = [
            letter
            async for chunk in account.letters(mailbox.mailbox_id, [event.entry.uid])
            for _, letter in chunk
        ]
        letter = found[0] if found else None
        if letter is None:
            self.session.refuse(replies.MESSAGE_DAMAGED if found else replies.MESSAGE_GONE)
            return
        self.session.letter_follows()
        if event.line_count is not None:
            letter = top(letter, event.line_count)
        await self._flush()
        for piece in serialize_pieces(letter):
            await self.connection.write(piece)
        if event.line_count is None:
            self.session.letter_sent(event.entry.uid)

    async def _update(self, event: Update) -> None:
        account, mailbox = self.account, self.mailbox
        assert account is not None
        assert mailbox is not None
        if event.retrieved_uids:
            # What was read here is not new to an IMAP client of the same person.
            await account.store_flags(
                mailbox.mailbox_id, event.retrieved_uids, FlagChange.ADD, int(Flag.SEEN)
            )
        # Last, so that when anything fails, nothing was removed.
        if event.deleted_uids:
            await account.remove(mailbox.mailbox_id, event.deleted_uids)
        self.session.updated()
