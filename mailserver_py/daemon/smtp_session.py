"""An SMTP connection: carries bytes between a `Connection` and `smtp.server`, and answers its events with
policy.

Deadlines are totals: a command has COMMAND_S from its first byte on, and so has the wait for one (RFC 5321 §4.5.3.2.7);
a letter LETTER_S, and more only while it keeps coming at a useful rate.
"""

from __future__ import annotations

from mailserver_py.mailstore.values import StoreError
from mailserver_py.net.connection import Connection, Deadline
from mailserver_py.smtp import events
from mailserver_py.smtp import replies as protocol_replies
from mailserver_py.smtp.extensions import Role
from mailserver_py.smtp.limits import ServerLimits
from mailserver_py.smtp.replies import Reply, reply
from mailserver_py.smtp.server import ServerSession
from mailserver_py.smtp.states import State

from .context import DaemonContext
from .intake import Hop, Intake, Transaction
from .logins import FAILURE_DELAY_S, Logins
from .policy import replies

COMMAND_S = 300
"""RFC 5321 §4.5.3.2.7: a server should wait at least five minutes for a command."""

LETTER_S = 600
"""For a whole letter, before what it earns by coming; §4.5.3.2.5 asks for three minutes a block."""

LETTER_BYTES_PER_S = 1_000
"""A letter that streams in earns time at this rate; slower ones are attacks, or links that would not
finish.
"""

FAILED_LOGIN_COUNT = 3
"""Failed logins of one connection; each costs its client FAILURE_DELAY_S."""

UNKNOWN_COUNT = 100
"""Refused recipients of one connection: more than an honest list has, too few to learn who exists."""


async def serve_smtp(
    connection: Connection,
    context: DaemonContext,
    role: Role,
    *,
    failure_delay_s: float = FAILURE_DELAY_S,
) -> None:
    """Serves one connection from greeting to end. Raises what the connection raises."""
    session = SmtpSession(connection, context, role, failure_delay_s)
    try:
        await session.converse()
    finally:
        session.forget()
        await session.intake.settle()


class SmtpSession:
    """One connection's state beside the protocol's."""

    def __init__(
        self, connection: Connection, context: DaemonContext, role: Role, failure_delay_s: float
    ) -> None:
        self.intake = Intake(context)
        self._connection = connection
        self._context = context
        self._role = role
        self._logins = Logins(connection, context, "smtp", failure_delay_s)
        limits = context.settings.limits
        self._core = ServerSession(
            context.settings.hostname,
            role,
            ServerLimits(int(limits.message_size), limits.recipients),
            tls_active=connection.tls is not None,
            tls_available=connection.can_start_tls,
            terms=self._logins.terms,
        )
        self._account = ""
        self._transaction: Transaction | None = None
        self._deadline = Deadline(COMMAND_S)
        self._failed_login_count = 0
        self._unknown_count = 0

    async def converse(self) -> None:
        """Until one side ends it."""
        core, connection = self._core, self._connection
        while True:
            event = core.next_event()
            if event is events.NEED_DATA:
                await self._exchange()
            elif event is events.START_TLS:
                await connection.write(core.data_to_send())
                await connection.start_tls()
                core.tls_started(self._logins.terms)
            elif isinstance(event, events.SaslKeys):
                core.give_keys(*await self._logins.keys(event.user))
            elif isinstance(event, events.Closed):
                await self._flush()
                return
            elif isinstance(event, events.LetterChunk):
                self._keep(event.data)
            elif isinstance(event, events.LetterRefused):
                self._refused(event.reply)
            else:
                core.reply(await self._answer(event))

    # ---- bytes

    async def _flush(self) -> None:
        data = self._core.data_to_send()
        if data:
            await self._connection.write(data)

    async def _exchange(self) -> None:
        """Sends what is to be sent, and takes what comes, or ends the session when that takes too long."""
        await self._flush()
        in_letter = self._core.state is State.LETTER
        if not in_letter and not self._core.midway:
            self._deadline = Deadline(COMMAND_S)
        try:
            if in_letter:
                size_bytes = self._transaction.size_bytes if self._transaction is not None else 0
                data: bytes | None = await self._connection.read(self._deadline.left_s(size_bytes))
            else:
                data = await self._context.drain.read(self._connection, self._deadline.left_s())
        except TimeoutError:
            self._core.close(protocol_replies.TIMED_OUT)
            return
        if data is None:
            self._core.close(protocol_replies.SHUTTING_DOWN)
        else:
            self._core.receive(data)

    def _keep(self, data: bytes) -> None:
        """Keeps more of the letter, or nothing of it once there is no memory for it."""
        transaction, space = self._transaction, self._context.policy.space
        assert transaction is not None
        transaction.size_bytes += len(data)
        if not transaction.overflowed and space.hold(len(data)):
            transaction.held_bytes += len(data)
            transaction.chunks.append(data)
        else:
            transaction.overflowed = True
            transaction.chunks.clear()

    def forget(self) -> None:
        """Ends the transaction, if there is one, and gives its memory back."""
        if self._transaction is not None:
            self._context.policy.space.release(self._transaction.held_bytes)
            self._transaction = None

    # ---- answers

    async def _answer(self, event: events.Event) -> Reply:
        """The answer to an event; whatever goes wrong on our side is temporary to the peer and named in the
        log.
        """
        trace_id = self._transaction.trace_id if self._transaction is not None else ""
        try:
            if isinstance(event, events.Recipient):
                return await self._recipient(event)
            if isinstance(event, events.Mail):
                return await self._mail(event)
            if event is events.LETTER_WANTED:
                self._deadline = Deadline(LETTER_S, rate_bytes_per_s=LETTER_BYTES_PER_S)
                return protocol_replies.SEND_LETTER
            if isinstance(event, events.Login):
                return await self._login(event)
            assert event is events.LETTER_END
            return await self._letter()
        except StoreError as error:
            self._log_refusal(replies.of_store_error(error), reason=str(error))
            return replies.of_store_error(error)
        except MemoryError:
            return replies.SYSTEM_FULL
        except Exception as error:
            # A bug of ours ends this command, not the session.
            incident = self._context.log.incident(error, self._context.ids(), trace=trace_id)
            return reply(451, "4.3.0", f"internal error, incident {incident}")

    async def _login(self, event: events.Login) -> Reply:
        account = await self._logins.judge(event.claim)
        if account is None:
            self._failed_login_count += 1
            if self._failed_login_count >= FAILED_LOGIN_COUNT:
                return replies.TOO_MANY_LOGINS
            return protocol_replies.BAD_CREDENTIALS
        self._account = account
        return protocol_replies.AUTHENTICATED

    async def _mail(self, event: events.Mail) -> Reply:
        self.forget()
        context = self._context
        if self._role is Role.SUBMISSION:
            refusal = context.policy.senders.check_path(self._account, event.reverse_path)
            if refusal is not None:
                return self._log_refusal(refusal, reverse_path=event.reverse_path.serialize())
        now_s = context.clock.now_s()
        refusal = await context.policy.space.refuse_letter(context.store, event.size_bytes, now_s)
        if refusal is not None:
            return self._log_refusal(refusal)
        self._transaction = Transaction(context.ids(), event)
        return protocol_replies.SENDER_OK

    async def _recipient(self, event: events.Recipient) -> Reply:
        assert self._transaction is not None
        context, transaction = self._context, self._transaction
        path = event.forward_path.serialize()
        found = context.policy.recipients.resolve(event.forward_path, may_relay=bool(self._account))
        if isinstance(found, Reply):
            self._unknown_count += 1
            refusal = replies.TOO_MANY_UNKNOWN if self._unknown_count > UNKNOWN_COUNT else found
            return self._log_refusal(refusal, recipient=path)
        local = [recipient.account for recipient in found if recipient.account]
        if len(local) == len(found):
            now_s, size_bytes = context.clock.now_s(), transaction.mail.size_bytes
            for account in local:
                full = await context.policy.space.refuse_recipient(context.store, account, size_bytes, now_s)
                if full is None:
                    break
            else:
                # Nobody behind the address has room; if one has, the others' copies wait in the queue.
                return self._log_refusal(replies.MAILBOX_FULL, recipient=path)
        transaction.recipients.extend(found)
        transaction.paths.append(path)
        return protocol_replies.RECIPIENT_OK

    async def _letter(self) -> Reply:
        transaction = self._transaction
        assert transaction is not None
        try:
            if transaction.overflowed:
                return self._log_refusal(replies.SYSTEM_FULL, reason="too many letters at once")
            hop = Hop(self._connection, self._core.hello_name, self._core.protocol_keyword, self._account)
            answer = await self.intake.take(transaction, hop)
            return answer if answer.positive else self._log_refusal(answer)
        finally:
            self.forget()

    def _refused(self, answer: Reply) -> None:
        """The protocol refused the letter's bytes."""
        self._log_refusal(answer)
        self.forget()

    def _log_refusal(self, answer: Reply, **fields: object) -> Reply:
        trace_id = self._transaction.trace_id if self._transaction is not None else ""
        self._context.log.event(
            "smtp.refused",
            trace=trace_id,
            peer=self._connection.peer.address,
            account=self._account,
            reply=answer.render(),
            **fields,
        )
        return answer
