"""From a received letter to the promise: checks, header fields of ours, the store, and local delivery after.

In front of a letter from the world go Return-Path, Received and Authentication-Results; in front of one of
our users' Return-Path, Received, a DKIM signature by each key of its From domain, and Date and Message-ID
where they were missing (RFC 6409 §8.1, §8.2). Bcc fields stay as the client sent them: what is private in a
letter is its author's decision, and clients take Bcc off themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from mailserver_py.mailstore.values import NewLetter, NewRecipient, QueuedLetter, Staged
from mailserver_py.message.address import AddressError, a_labels
from mailserver_py.message.addresslist import mailboxes_of, parse_address_list
from mailserver_py.message.date import serialize_date
from mailserver_py.message.header import Header, parse_header
from mailserver_py.net.connection import Connection
from mailserver_py.senderauth import dkim
from mailserver_py.senderauth.authentication_results import (
    MethodResult,
    remove_foreign,
    serialize,
)
from mailserver_py.smtp.events import Mail
from mailserver_py.smtp.replies import Reply, reply

from .context import LEASE_S, DaemonContext
from .local_delivery import deliver_local
from .policy import replies
from .policy.recipients import merge
from .sender_checks import THREAD_BYTES
from .trace_fields import received_field, return_path_field

RECEIVED_COUNT = 100
"""More hops than this are a loop (RFC 5321 §6.3: at least 100)."""


@dataclass(slots=True)
class Transaction:
    """What a session collects between MAIL and the letter's end."""

    trace_id: str
    mail: Mail
    recipients: list[NewRecipient] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    """The forward-paths as they were accepted."""
    chunks: list[bytes] = field(default_factory=list)
    size_bytes: int = 0
    held_bytes: int = 0
    """What of it was taken from `Space.hold`."""
    overflowed: bool = False
    """There was no memory for it; it will be refused at its end."""


@dataclass(frozen=True, slots=True)
class Hop:
    """How the letter came: what the session knows."""

    connection: Connection
    hello_name: str
    keyword: str
    account: str
    """The authenticated submitter; empty for the world."""


class Intake:
    """Takes letters for one connection."""

    def __init__(self, context: DaemonContext) -> None:
        self._context = context
        self._delivery: asyncio.Task[None] | None = None

    async def take(self, transaction: Transaction, hop: Hop) -> Reply:
        """The letter's fate. When it is positive the letter is durable. Raises StoreError."""
        letter = b"".join(transaction.chunks)
        transaction.chunks.clear()
        header = parse_header(letter)
        refusal = self._refuse(header, hop)
        if refusal is not None:
            return refusal
        kept = remove_foreign(letter, self._context.settings.hostname, header)
        if kept is not letter:
            letter, header = kept, parse_header(kept)
        results: Sequence[MethodResult] = ()
        if hop.account:
            front, letter = await self._complete(letter, header)
        else:
            results = await self._check(letter, header, transaction.mail, hop)
            front = serialize(self._context.settings.hostname, results)
        trace = self._trace_fields(transaction, hop)
        staged = await self._stage(trace + front, letter)
        await self.settle()
        queued = await self._accept(transaction, hop, staged)
        self._log_accepted(transaction, hop, queued, header, results)
        self._delivery = asyncio.create_task(self._deliver(queued))
        return reply(250, "2.0.0", f"accepted as {transaction.trace_id}")

    async def settle(self) -> None:
        """Waits for the delivery under way: a session has one letter being delivered at most."""
        if self._delivery is not None:
            await self._delivery
            self._delivery = None

    def _refuse(self, header: Header, hop: Hop) -> Reply | None:
        if len(header.all(b"Received")) > RECEIVED_COUNT:
            return replies.MAIL_LOOP
        if hop.account:
            return self._context.policy.senders.check_header(hop.account, header)
        # A second From is made to show a reader another author than the one that was checked (promises S21).
        return replies.BAD_FROM if len(header.all(b"From")) > 1 else None

    async def _check(self, letter: bytes, header: Header, mail: Mail, hop: Hop) -> Sequence[MethodResult]:
        checks, now_s = self._context.policy.checks, self._context.clock.now_s()
        address = hop.connection.peer.address
        spf = await checks.check_spf(address, hop.hello_name, mail.reverse_path, now_s)
        return (spf, *await checks.check_dkim(letter, header, now_s))

    async def _complete(self, letter: bytes, header: Header) -> tuple[bytes, bytes]:
        """Signatures, and the letter with what RFC 6409 lets a submission server add."""
        added = b""
        if header.get(b"Date") is None:
            added += b"Date: " + serialize_date(self._context.clock.now()) + b"\r\n"
        if header.get(b"Message-ID") is None:
            added += f"Message-ID: <{self._context.ids()}@{self._context.settings.hostname}>\r\n".encode()
        letter = added + letter
        keys = self._context.signing_keys.get(_from_domain(header), ())
        now_s = self._context.clock.now_s()
        if len(letter) > THREAD_BYTES:
            return await asyncio.to_thread(dkim.sign, letter, keys, now_s), letter
        return dkim.sign(letter, keys, now_s), letter

    def _trace_fields(self, transaction: Transaction, hop: Hop) -> bytes:
        # Deviation: RFC 5321 §4.4 wants a `from` clause. For our own users it would tell every recipient
        # where they were; the log has it.
        received = received_field(
            hello_name=hop.hello_name,
            address="" if hop.account else hop.connection.peer.address,
            hostname=self._context.settings.hostname,
            keyword=hop.keyword,
            tls=hop.connection.tls,
            trace_id=transaction.trace_id,
            recipient=transaction.paths[0] if len(transaction.paths) == 1 else "",
            at=self._context.clock.now(),
        )
        return return_path_field(transaction.mail.reverse_path.serialize()) + received

    async def _stage(self, front: bytes, letter: bytes) -> Staged:
        staging = self._context.store.stage()
        try:
            await staging.write(front)
            # In pieces: hashing a large letter at one go would hold up every other session.
            for at in range(0, len(letter), THREAD_BYTES):
                await staging.write(letter[at : at + THREAD_BYTES])
            return await staging.finish()
        except BaseException:
            await staging.discard()
            raise

    async def _accept(self, transaction: Transaction, hop: Hop, staged: Staged) -> QueuedLetter:
        recipients = merge(transaction.recipients)
        is_local = any(recipient.account for recipient in recipients)
        return await self._context.store.queue.accept(
            NewLetter(
                trace_id=transaction.trace_id,
                reverse_path=transaction.mail.reverse_path.serialize(),
                staged=staged,
                recipients=recipients,
                received_at_s=self._context.clock.now_s(),
                account=hop.account,
                smtputf8=transaction.mail.smtputf8,
                eight_bit=transaction.mail.eight_bit,
            ),
            owner=self._context.owner if is_local else "",
            lease_s=LEASE_S if is_local else 0,
        )

    async def _deliver(self, letter: QueuedLetter) -> None:
        """After the promise, so that nothing here can reach the client; what fails is the queue's to
        repeat.
        """
        try:
            await deliver_local(self._context, letter)
        except Exception as error:
            # A bug in delivery must not end the session that has its promise.
            self._context.log.incident(error, self._context.ids(), trace=letter.trace_id)

    def _log_accepted(
        self,
        transaction: Transaction,
        hop: Hop,
        letter: QueuedLetter,
        header: Header,
        results: Sequence[MethodResult],
    ) -> None:
        self._context.log.event(
            "smtp.accepted",
            trace=transaction.trace_id,
            letter=letter.letter_id,
            peer=hop.connection.peer.address,
            hello=hop.hello_name,
            protocol=hop.keyword,
            account=hop.account,
            reverse_path=letter.reverse_path,
            recipients=transaction.paths,
            size_bytes=letter.size_bytes,
            message_id=header.value(b"Message-ID"),
            results=[f"{result.method}={result.result}" for result in results],
        )


def _from_domain(header: Header) -> str:
    """The author's domain, whose keys sign; empty when there is none to be read."""
    found = header.get(b"From")
    mailboxes = mailboxes_of(parse_address_list(found.raw_value)) if found is not None else ()
    try:
        return a_labels(mailboxes[0].domain.decode()) if mailboxes else ""
    except (AddressError, UnicodeDecodeError):
        return ""
