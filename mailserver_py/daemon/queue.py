"""The queue's process: what is due goes out, what failed comes back, what a crash left behind is delivered.

One runner at work per host is enough, but nothing breaks when there are two: leases see to it that a
recipient is in one pair of hands. Its parts: `route` (where to), `attempt` and `outbound` (one destination),
`retry` (when again), `bounce` (the bad news).

Invariants:
- What was sent is settled by itself, before anything that can fail for another reason.
- A recipient's end and the bounce that tells of it are one commit.
- What goes wrong for some recipients of a letter leaves the others alone, and holds nobody's lease for longer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from weakref import WeakValueDictionary

from mailserver_py.mailstore.values import (
    LetterDamaged,
    Outcome,
    QueuedLetter,
    QueuedRecipient,
    RecipientState,
    StoreError,
)
from mailserver_py.smtp.client_events import Envelope

from .attempt import Fate, Result
from .bounce import Failure
from .context import LEASE_S, DaemonContext
from .local_delivery import damaged, deliver_local, log_later
from .outbound import World, carry
from .retry import next_attempt_at_s
from .returning import log_bounced, make_bounce
from .trace_fields import without_return_path

LETTERS_AT_ONCE_COUNT = 2_000
"""Letters in hand, most of which wait for their destination's turn and cost a kilobyte each. So many that a slow
destination's letters do not keep those of the others out (promises R35).
"""

TRANSACTIONS_AT_ONCE_COUNT = 200
"""Letters being handed over; each waits mostly for a peer."""

BYTES_AT_ONCE = 128 * 1024 * 1024
"""Of letters held in memory; one larger than what is left waits until the others are gone."""

DESTINATION_AT_ONCE_COUNT = 5
"""Connections to one domain: more is rude, and a dead one would hold everything up (promises R35)."""

DEAD_S = 60
"""A domain that no connection reached is not tried for the next letters meanwhile; they are deferred
unasked.
"""

RECIPIENTS_AT_ONCE_COUNT = 100
"""Recipients of one transaction: what every server takes (RFC 5321 §4.5.3.1.8)."""

IDLE_LIMIT_S = 60.0
"""The longest nap, in case a wake-up was lost with its process."""

UNREACHABLE = "4.4.1"
"""RFC 3463 §3.5: no answer from the host."""

DEAD_COUNT = 1_000
"""Dead domains remembered; beyond, those that may be tried again are forgotten."""

SETTLE_AGAIN_S = (1.0, 5.0, 20.0)
"""Waits, well within a lease, before a letter that was sent is settled again: given up, it would be sent twice."""


Work = Callable[[QueuedLetter, Sequence[QueuedRecipient]], Awaitable[None]]


class Budget:
    """So many bytes at once; the first of all always gets its share, however large."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held_bytes = 0
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def hold(self, size_bytes: int) -> AsyncIterator[None]:
        """Waits for room, and holds it."""
        async with self._freed:
            await self._freed.wait_for(
                lambda: not self._held_bytes or self._held_bytes + size_bytes <= self._limit_bytes
            )
            self._held_bytes += size_bytes
        try:
            yield
        finally:
            self._held_bytes -= size_bytes
            async with self._freed:
                self._freed.notify_all()


class QueueRunner:
    """Runs until cancelled; `drain` lets what is in hand end first."""

    def __init__(self, context: DaemonContext, world: World) -> None:
        self._context = context
        self._world = world
        self._budget = Budget(BYTES_AT_ONCE)
        self._transactions = asyncio.Semaphore(TRANSACTIONS_AT_ONCE_COUNT)
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_hand: set[int] = set()
        """Recipients being worked on. A clock that jumps ends their leases, but not the work (promises R21)."""
        # A destination's semaphore lives as long as somebody holds it or waits for it.
        self._destinations: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._dead: dict[str, tuple[float, Result]] = {}

    async def run(self) -> None:
        """Leases what is due and works on it, for ever. A store that fails for now is asked again."""
        context = self._context
        renewing = asyncio.create_task(self._renew())
        try:
            with context.hub.listen("") as wake:
                while not context.drain.started:
                    wake.drain()
                    nap_s = await self._take_due()
                    if nap_s:
                        await wake.wait(nap_s)
        finally:
            renewing.cancel()

    async def drain(self, timeout_s: float) -> None:
        """Waits for what is in hand; what does not end in time is put back, due at once."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        left = tuple(self._tasks)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=5)

    async def _take_due(self) -> float:
        """Starts work on what is due; how long nothing more can be done unless somebody calls."""
        context = self._context
        room_count = LETTERS_AT_ONCE_COUNT - len(self._tasks)
        if room_count <= 0:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            return 0
        try:
            now_s = context.clock.now_s()
            letters = await context.store.queue.lease(context.owner, now_s, LEASE_S, room_count)
            for letter in letters:
                self._begin(letter)
            if letters:
                return 0
            due_at_s = await context.store.queue.next_due_at_s()
        except StoreError as error:
            context.log.event("queue.unavailable", error=str(error))
            return 5.0
        if due_at_s is None:
            return IDLE_LIMIT_S
        return min(max(float(due_at_s - context.clock.now_s()), 0.2), IDLE_LIMIT_S)

    def _begin(self, letter: QueuedLetter) -> None:
        recipients = tuple(r for r in letter.recipients if r.recipient_id not in self._in_hand)
        if not recipients:
            return
        self._in_hand.update(recipient.recipient_id for recipient in recipients)
        task = asyncio.create_task(self._work(replace(letter, recipients=recipients)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _renew(self) -> None:
        """Only of what is in hand: what was let go is to come back when its lease ends."""
        context = self._context
        while True:
            await asyncio.sleep(LEASE_S / 4)
            if self._in_hand:
                with contextlib.suppress(StoreError):
                    await context.store.queue.renew(
                        context.owner, context.clock.now_s(), LEASE_S, tuple(self._in_hand)
                    )

    async def _work(self, letter: QueuedLetter) -> None:
        """All due recipients of one letter."""
        local = tuple(recipient for recipient in letter.recipients if recipient.account)
        outside = tuple(recipient for recipient in letter.recipients if not recipient.account)
        try:
            await asyncio.gather(
                self._guarded(letter, local, self._deliver),
                self._guarded(letter, outside, self._send_out),
            )
        except asyncio.CancelledError:
            await self._put_back(letter, letter.recipients, "interrupted", self._context.clock.now_s())
            raise
        finally:
            self._in_hand.difference_update(recipient.recipient_id for recipient in letter.recipients)

    async def _guarded(self, letter: QueuedLetter, recipients: Sequence[QueuedRecipient], work: Work) -> None:
        """Some recipients of a letter. A fault of ours hurts these alone, which are tried again later, but not for
        ever.
        """
        if not recipients:
            return
        context = self._context
        try:
            await work(letter, recipients)
        except StoreError as error:
            log_later(context, letter, error)
        except Exception as error:
            context.log.incident(error, context.ids(), trace=letter.trace_id, letter=letter.letter_id)
            fault = Result(Fate.DEFERRED, "4.3.0", "internal error")
            try:
                await self._judge(letter, recipients, [fault] * len(recipients))
            except Exception:  # not even that: the letter is kept, and the log has the cause above
                later_s = context.clock.now_s() + int(context.settings.queue.retry[-1])
                await self._put_back(letter, recipients, "internal error", later_s)

    async def _put_back(
        self, letter: QueuedLetter, recipients: Sequence[QueuedRecipient], reply: str, due_at_s: int
    ) -> None:
        """One by one, because those that were settled meanwhile are nobody's any more."""
        for recipient in recipients:
            outcome = Outcome(recipient.recipient_id, RecipientState.WAITING, reply, due_at_s)
            with contextlib.suppress(StoreError):
                await self._context.store.queue.settle(self._context.owner, letter.letter_id, [outcome])

    async def _deliver(self, letter: QueuedLetter, recipients: Sequence[QueuedRecipient]) -> None:
        """The recipients of this host."""
        failures = await deliver_local(self._context, replace(letter, recipients=recipients))
        await self._fail(letter, failures)

    async def _send_out(self, letter: QueuedLetter, recipients: Sequence[QueuedRecipient]) -> None:
        """The recipients elsewhere, all destinations at once."""
        by_domain: dict[str, list[QueuedRecipient]] = {}
        for recipient in recipients:
            by_domain.setdefault(_domain_of(recipient), []).append(recipient)
        await asyncio.gather(*(self._guarded(letter, group, self._send) for group in by_domain.values()))

    async def _send(self, letter: QueuedLetter, recipients: Sequence[QueuedRecipient]) -> None:
        """One destination, in groups that every server takes; each group is settled as soon as it is
        known. The letter is read when it is its turn.
        """
        domain = _domain_of(recipients[0])
        turns = self._destinations.get(domain) or asyncio.Semaphore(DESTINATION_AT_ONCE_COUNT)
        self._destinations[domain] = turns
        async with turns, self._transactions, self._budget.hold(letter.size_bytes):
            try:
                data = without_return_path(await self._context.store.queue.read(letter))
            except LetterDamaged as error:
                lost = damaged(error)
                await self._fail(letter, [Failure(recipient, lost) for recipient in recipients])
                return
            for at in range(0, len(recipients), RECIPIENTS_AT_ONCE_COUNT):
                group = recipients[at : at + RECIPIENTS_AT_ONCE_COUNT]
                results = await self._carry(letter, data, domain, group)
                await self._judge(letter, group, results)

    async def _carry(
        self, letter: QueuedLetter, data: bytes, domain: str, group: Sequence[QueuedRecipient]
    ) -> Sequence[Result]:
        loop = asyncio.get_running_loop()
        dead_until, dead_result = self._dead.get(domain, (0.0, None))
        if dead_result is not None and loop.time() < dead_until:
            return [dead_result] * len(group)
        self._dead.pop(domain, None)
        envelope = Envelope(
            letter.reverse_path,
            tuple(recipient.forward_path for recipient in group),
            len(data),
            letter.eight_bit,
            letter.smtputf8,
        )
        results = await carry(self._world, domain, data, envelope)
        if all(result.status == UNREACHABLE and result.reply is None for result in results):
            self._remember_dead(domain, results[0], loop.time())
        return results

    def _remember_dead(self, domain: str, result: Result, at_s: float) -> None:
        if len(self._dead) >= DEAD_COUNT:
            self._dead = {name: dead for name, dead in self._dead.items() if dead[0] > at_s}
        self._dead[domain] = (at_s + DEAD_S, result)

    async def _judge(
        self, letter: QueuedLetter, group: Sequence[QueuedRecipient], results: Sequence[Result]
    ) -> None:
        """From results to outcomes: sent, once more, or never."""
        context = self._context
        now_s = context.clock.now_s()
        outcomes: list[Outcome] = []
        failures: list[Failure] = []
        for recipient, result in zip(group, results, strict=True):
            if result.fate is Fate.SENT:
                outcomes.append(Outcome(recipient.recipient_id, RecipientState.DELIVERED, result.text))
                self._log("delivery.sent", letter, recipient, result)
                continue
            due_at_s = None
            if result.fate is Fate.DEFERRED:
                due_at_s = next_attempt_at_s(
                    context.settings.queue, letter.received_at_s, recipient.attempt_count + 1, now_s
                )
            if due_at_s is None:
                failures.append(Failure(recipient, result))
                continue
            outcomes.append(Outcome(recipient.recipient_id, RecipientState.WAITING, result.text, due_at_s))
            self._log("delivery.deferred", letter, recipient, result, due_at_s=due_at_s)
        await self._settle(letter, outcomes)
        await self._fail(letter, failures)

    async def _settle(self, letter: QueuedLetter, outcomes: Sequence[Outcome]) -> None:
        """Writes what was sent or is to wait; asks again for a while when the store cannot. Raises StoreError."""
        if not outcomes:
            return
        queue, owner = self._context.store.queue, self._context.owner
        for wait_s in SETTLE_AGAIN_S:
            try:
                held = await queue.settle(owner, letter.letter_id, outcomes)
                break
            except StoreError:
                await asyncio.sleep(wait_s)
        else:
            held = await queue.settle(owner, letter.letter_id, outcomes)
        if not held:
            self._log_lost(letter)

    async def _fail(self, letter: QueuedLetter, failures: Sequence[Failure]) -> None:
        """Ends recipients, and tells their sender, in one commit. Raises StoreError, and then nothing of it is done."""
        if not failures:
            return
        context = self._context
        for failure in failures:
            self._log("delivery.failed", letter, failure.recipient, failure.result)
        bounce = await make_bounce(context, letter, failures)
        outcomes = [
            Outcome(failure.recipient.recipient_id, RecipientState.FAILED, failure.result.text)
            for failure in failures
        ]
        bounces = [bounce] if bounce is not None else []
        if not await context.store.queue.settle(context.owner, letter.letter_id, outcomes, bounces):
            self._log_lost(letter)
        elif bounce is not None:
            log_bounced(context, letter, failures, bounce)

    def _log_lost(self, letter: QueuedLetter) -> None:
        self._context.log.event("queue.lease_lost", trace=letter.trace_id, letter=letter.letter_id)

    def _log(
        self,
        event: str,
        letter: QueuedLetter,
        recipient: QueuedRecipient,
        result: Result,
        due_at_s: int | None = None,
    ) -> None:
        self._context.log.event(
            event,
            trace=letter.trace_id,
            letter=letter.letter_id,
            recipient=recipient.original or recipient.forward_path,
            to=recipient.forward_path if recipient.original else None,
            host=result.host,
            tls=result.tls or None,
            status=result.status,
            reply=result.text,
            due_at_s=due_at_s,
        )


def _domain_of(recipient: QueuedRecipient) -> str:
    return recipient.forward_path.rpartition("@")[2].lower()
