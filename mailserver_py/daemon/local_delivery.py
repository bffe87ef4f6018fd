"""Puts a letter into the mailboxes of its local recipients, and says in the log what became of each.

The worker that accepted a letter does this at once, under the lease it took with `accept`; the queue's
process does it again for what a crash left behind, or what did not fit. However often it is done, each
mailbox has the letter once.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailserver_py.mailstore.values import (
    LetterDamaged,
    Outcome,
    QueuedLetter,
    QueuedRecipient,
    RecipientState,
    StoreError,
)

from .attempt import Fate, Result
from .bounce import Failure
from .context import DaemonContext
from .retry import next_attempt_at_s

TIME_EXPIRED = "4.4.7"
"""RFC 3463 §3.5: given up."""

DAMAGED = "5.3.0"
"""RFC 3463 §3.4: something is wrong with this system; no code says more."""


async def deliver_local(context: DaemonContext, letter: QueuedLetter) -> Sequence[Failure]:
    """Delivers, settles, logs. Returns those that are to be given up, because their time is over or the letter is
    damaged: they are owed a bounce and are left unsettled for the caller, who alone can make one. Does not raise
    StoreError: what the store could not do now stays in the queue until the lease ends.
    """
    now_s = context.clock.now_s()
    try:
        outcomes = await context.store.queue.deliver_local(letter, now_s)
    except LetterDamaged as error:
        lost = damaged(error)
        return [Failure(recipient, lost) for recipient in letter.recipients if recipient.account]
    except StoreError as error:
        log_later(context, letter, error)
        return ()
    by_id = {recipient.recipient_id: recipient for recipient in letter.recipients}
    given_up: list[Failure] = []
    later: list[Outcome] = []
    for outcome in outcomes:
        recipient = by_id[outcome.recipient_id]
        if outcome.state is RecipientState.DELIVERED:
            _log(context, "delivery.local", letter, recipient, outcome.reply)
            continue
        due_at_s = next_attempt_at_s(
            context.settings.queue, letter.received_at_s, recipient.attempt_count + 1, now_s
        )
        if due_at_s is None:
            given_up.append(Failure(recipient, Result(Fate.FAILED, TIME_EXPIRED, outcome.reply)))
            continue
        later.append(Outcome(outcome.recipient_id, RecipientState.WAITING, outcome.reply, due_at_s))
        _log(context, "delivery.deferred", letter, recipient, outcome.reply)
    if later:
        try:
            await context.store.queue.settle(context.owner, letter.letter_id, later)
        except StoreError as error:
            log_later(context, letter, error)
    return given_up


def damaged(error: LetterDamaged) -> Result:
    """What becomes of the recipients of a letter that cannot be read any more."""
    return Result(Fate.FAILED, DAMAGED, f"the letter was damaged on this server: {error}")


def log_later(context: DaemonContext, letter: QueuedLetter, error: StoreError) -> None:
    """Says that the store could not do something now; the letter is taken up again when its lease ends."""
    context.log.event("delivery.deferred", trace=letter.trace_id, letter=letter.letter_id, reply=str(error))


def _log(
    context: DaemonContext, event: str, letter: QueuedLetter, recipient: QueuedRecipient, reply: str
) -> None:
    context.log.event(
        event,
        trace=letter.trace_id,
        letter=letter.letter_id,
        recipient=recipient.original or recipient.forward_path,
        account=recipient.account,
        mailbox=recipient.mailbox,
        reply=reply,
    )
