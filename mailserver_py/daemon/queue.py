"""The queue's process: what is due goes out, what failed comes back, what a crash left behind is delivered.

One runner at work per host is enough, but nothing breaks when there are two: leases see to it that a
recipient is in one pair of hands. Its parts: `route` (where to), `attempt` and `outbound` (one destination),
`retry` (when again), `bounce` (the bad news).

Declared: a crash between the bounce's acceptance and the settling of its recipients makes the bounce twice;
the other order could lose it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
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
from .local_delivery import deliver_local
from .outbound import World, carry
from .retry import next_attempt_at_s
from .returning import return_to_sender
from .trace_fields import without_return_path

LETTERS_AT_ONCE_COUNT = 200
"""Letters in hand; each waits mostly for a peer."""

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

TIME_EXPIRED = "4.4.7"
"""RFC 3463 §3.5: given up."""


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
        self._tasks: set[asyncio.Task[None]] = set()
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
                task = asyncio.create_task(self._work(letter))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            if letters:
                return 0
            due_at_s = await context.store.queue.next_due_at_s()
        except StoreError as error:
            context.log.event("queue.unavailable", error=str(error))
            return 5.0
        if due_at_s is None:
            return IDLE_LIMIT_S
        return min(max(float(due_at_s - context.clock.now_s()), 0.2), IDLE_LIMIT_S)

    async def _renew(self) -> None:
        context = self._context
        while True:
            await asyncio.sleep(LEASE_S / 4)
            if self._tasks:
                with contextlib.suppress(StoreError):
                    await context.store.queue.renew(context.owner, context.clock.now_s(), LEASE_S)

    async def _work(self, letter: QueuedLetter) -> None:
        """All due recipients of one letter; a fault of ours hurts this letter alone, which is tried again
        later.
        """
        context = self._context
        try:
            await self._deliver(letter)
        except asyncio.CancelledError:
            await self._put_back(letter, letter.recipients, "interrupted", context.clock.now_s())
            raise
        except StoreError as error:
            context.log.event(
                "delivery.deferred", trace=letter.trace_id, letter=letter.letter_id, reply=str(error)
            )
        except Exception as error:
            context.log.incident(error, context.ids(), trace=letter.trace_id, letter=letter.letter_id)
            later_s = context.clock.now_s() + int(context.settings.queue.retry[0])
            await self._put_back(letter, letter.recipients, "internal error, will be tried again", later_s)

    async def _put_back(
        self, letter: QueuedLetter, recipients: Sequence[QueuedRecipient], reply: str, due_at_s: int
    ) -> None:
        """One by one, because those that were settled meanwhile are nobody's any more."""
        for recipient in recipients:
            outcome = Outcome(recipient.recipient_id, RecipientState.WAITING, reply, due_at_s)
            with contextlib.suppress(StoreError):
                await self._context.store.queue.settle(self._context.owner, letter.letter_id, [outcome])

    async def _deliver(self, letter: QueuedLetter) -> None:
        local = [recipient for recipient in letter.recipients if recipient.account]
        by_domain: dict[str, list[QueuedRecipient]] = {}
        for recipient in letter.recipients:
            if not recipient.account:
                domain = recipient.forward_path.rpartition("@")[2].lower()
                by_domain.setdefault(domain, []).append(recipient)
        if local:
            over = await deliver_local(self._context, letter)
            failures = [
                Failure(recipient, Result(Fate.FAILED, TIME_EXPIRED, text)) for recipient, text in over
            ]
            await self._settle(letter, failures, [])
        if not by_domain:
            return
        async with self._budget.hold(letter.size_bytes):
            try:
                data = without_return_path(await self._context.store.queue.read(letter))
            except LetterDamaged as error:
                lost = Result(Fate.FAILED, "5.3.0", f"the letter was damaged on this server: {error}")
                everybody = [recipient for group in by_domain.values() for recipient in group]
                await self._settle(letter, [Failure(recipient, lost) for recipient in everybody], [])
                return
            await asyncio.gather(
                *(self._send(letter, data, domain, group) for domain, group in by_domain.items())
            )

    async def _send(
        self, letter: QueuedLetter, data: bytes, domain: str, recipients: Sequence[QueuedRecipient]
    ) -> None:
        """One destination, in groups that every server takes; each group is settled as soon as it is
        known.
        """
        turns = self._destinations.get(domain) or asyncio.Semaphore(DESTINATION_AT_ONCE_COUNT)
        self._destinations[domain] = turns
        async with turns:
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
            self._dead[domain] = (loop.time() + DEAD_S, results[0])
        return results

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
        await self._settle(letter, failures, outcomes)

    async def _settle(
        self, letter: QueuedLetter, failures: Sequence[Failure], outcomes: Sequence[Outcome]
    ) -> None:
        """The bounce first, so that a crash between the two doubles it rather than loses it."""
        context = self._context
        for failure in failures:
            self._log("delivery.failed", letter, failure.recipient, failure.result)
        if failures:
            await return_to_sender(context, letter, failures)
        settled = [
            *outcomes,
            *(
                Outcome(failure.recipient.recipient_id, RecipientState.FAILED, failure.result.text)
                for failure in failures
            ),
        ]
        if settled and not await context.store.queue.settle(context.owner, letter.letter_id, settled):
            context.log.event("queue.lease_lost", trace=letter.trace_id, letter=letter.letter_id)

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
