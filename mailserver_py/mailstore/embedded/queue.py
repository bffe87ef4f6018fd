"""The engine's `port.Queue`: letters on their way, leased recipient by recipient.

Local delivery is done in two commits that may be torn apart by a crash at any point: first the accounts', where each
recipient's number is written beside the message, then the site's, which settles. Repeating finds the numbers and adds
nothing. The queue's row keeps the letter's file alive until an account refers to it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..values import (
    Changed,
    NewLetter,
    Outcome,
    OverQuota,
    QueuedLetter,
    QueuedRecipient,
    RecipientState,
    StoreError,
)
from . import account_changes, mailbox_changes, queue_changes
from .account_changes import Incoming
from .index import store_errors
from .writer import Job, Run

if TYPE_CHECKING:
    from .store import EmbeddedStore

QUEUE_CHANGED = Changed("")


class EmbeddedQueue:
    """The queue of a site."""

    def __init__(self, store: EmbeddedStore) -> None:
        self.store = store

    async def accept(self, letter: NewLetter, owner: str = "", lease_s: int = 0) -> QueuedLetter:
        """The promise. The owner's lease covers the local recipients; outside ones are due at once for anybody."""
        await self.store.presync([letter.staged])
        now_s = int(self.store.clock())
        job = self.job(lambda site: queue_changes.add_letter(site, letter, owner, lease_s, now_s))
        job.staged = [letter.staged]
        if not owner or any(not recipient.account for recipient in letter.recipients):
            job.changed.append(QUEUE_CHANGED)
        queued: QueuedLetter = await self.store.perform(job)
        if letter.staged.data is not None:
            self.store.recent.put(letter.staged.sha256, letter.staged.data)
        return queued

    async def lease(self, owner: str, now_s: int, lease_s: int, limit_count: int) -> Sequence[QueuedLetter]:
        job = self.job(lambda site: queue_changes.lease_letters(site, owner, now_s, lease_s, limit_count))
        letters: Sequence[QueuedLetter] = await self.store.perform(job)
        return letters

    async def renew(
        self, owner: str, now_s: int, lease_s: int, recipient_ids: Sequence[int] | None = None
    ) -> None:
        await self.store.perform(
            self.job(lambda site: queue_changes.renew_leases(site, owner, now_s, lease_s, recipient_ids))
        )

    async def list_owners(self) -> Sequence[str]:
        def run() -> list[str]:
            with store_errors(), self.store.site.reading() as site:
                return queue_changes.list_owners(site)

        return await self.store.in_thread(run)

    async def release_owners(self, gone: Sequence[str]) -> int:
        job = self.job(lambda site: queue_changes.release_owners(site, gone))
        job.changed.append(QUEUE_CHANGED)
        let_go_count: int = await self.store.perform(job)
        return let_go_count

    async def deliver_local(self, letter: QueuedLetter, now_s: int) -> Sequence[Outcome]:
        by_account: dict[str, list[QueuedRecipient]] = {}
        for recipient in letter.recipients:
            if recipient.account and recipient.state is RecipientState.WAITING:
                by_account.setdefault(recipient.account, []).append(recipient)
        if not by_account:
            return []
        ready = await self.store.derive_if_large(letter.sha256, letter.size_bytes)
        incoming: list[Incoming] = []
        groups = list(by_account.items())

        def prepare(_: Job) -> None:
            digest = ready or self.store.derive(self.store.read_letter(letter.sha256))
            incoming.append(
                Incoming(
                    letter.sha256,
                    letter.size_bytes,
                    letter.received_at_s,
                    digest,
                    saved_at_s=int(self.store.clock()),
                )
            )

        def step(account: str, recipients: Sequence[QueuedRecipient]) -> Run:
            rules = self.store.rules_of(account)

            def run(db: sqlite3.Connection) -> None:
                if rules is not None:
                    mailbox_changes.set_rules(db, rules)
                mailbox_ids = account_changes.deliver(
                    db, recipients, incoming[0], self.store.writer.done_below
                )
                job.changed.extend(Changed(account, mailbox_id) for mailbox_id in mailbox_ids)

            return run

        def settle(site: sqlite3.Connection) -> list[Outcome]:
            outcomes = [
                outcome_of(recipient, done.error)
                for (_, recipients), done in zip(groups, job.steps, strict=True)
                for recipient in recipients
            ]
            delivered = [outcome for outcome in outcomes if outcome.state is RecipientState.DELIVERED]
            if delivered:
                queue_changes.settle(site, letter.letter_id, delivered)
                self.store.writer.done_below = queue_changes.settled_below(site)
            return outcomes

        job = self.job(settle)
        job.prepare = prepare
        job.accounts = [(account, step(account, recipients)) for account, recipients in groups]
        outcomes: Sequence[Outcome] = await self.store.perform(job)
        return outcomes

    async def settle(
        self, owner: str, letter_id: int, outcomes: Sequence[Outcome], bounces: Sequence[NewLetter] = ()
    ) -> bool:
        await self.store.presync([bounce.staged for bounce in bounces])
        now_s = int(self.store.clock())

        def run(site: sqlite3.Connection) -> bool:
            if not queue_changes.settle_owned(site, owner, letter_id, outcomes):
                return False
            for bounce in bounces:
                queue_changes.add_letter(site, bounce, "", 0, now_s)
            return True

        job = self.job(run)
        job.staged = [bounce.staged for bounce in bounces]
        job.changed.append(QUEUE_CHANGED)
        held: bool = await self.store.perform(job)
        return held

    async def read(self, letter: QueuedLetter) -> bytes:
        return await self.store.in_thread(self.store.files.read, letter.sha256)

    async def list_letters(self, limit_count: int = 1000) -> Sequence[QueuedLetter]:
        def run() -> list[QueuedLetter]:
            with store_errors(), self.store.site.reading() as site:
                rows = site.execute(
                    "SELECT letter_id FROM letters ORDER BY letter_id LIMIT ?", (limit_count,)
                )
                return queue_changes.read_letters(site, [letter_id for (letter_id,) in rows])

        return await self.store.in_thread(run)

    async def next_due_at_s(self) -> int | None:
        def run() -> int | None:
            with store_errors(), self.store.site.reading() as site:
                return queue_changes.next_due_at_s(site)

        return await self.store.in_thread(run)

    def job(self, run: Run) -> Job:
        """A job of one step in the site's database."""
        return Job(self.store.new_future(), site=run)


def outcome_of(recipient: QueuedRecipient, error: BaseException | None) -> Outcome:
    """What came of a local delivery. Refusals of the store wait; a bug of ours is raised, not hidden in a reply."""
    if error is None:
        return Outcome(recipient.recipient_id, RecipientState.DELIVERED, "delivered")
    if not isinstance(error, StoreError):
        raise error
    reply = "over quota" if isinstance(error, OverQuota) else str(error)
    return Outcome(recipient.recipient_id, RecipientState.WAITING, reply, recipient.next_attempt_at_s)
