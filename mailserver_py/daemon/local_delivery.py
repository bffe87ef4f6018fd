"""Puts a letter into the mailboxes of its local recipients, and says in the log what became of each.

The worker that accepted a letter does this at once, under the lease it took with `accept`; the queue's
process does it again for what a crash left behind, or what did not fit. However often it is done, each
mailbox has the letter once.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailserver_py.mailstore.values import Outcome, QueuedLetter, QueuedRecipient, RecipientState, StoreError

from .context import DaemonContext
from .retry import next_attempt_at_s


async def deliver_local(
    context: DaemonContext, letter: QueuedLetter
) -> Sequence[tuple[QueuedRecipient, str]]:
    """Delivers, settles, logs. Returns the recipients whose time is over, each with the last reply: they are
    owed a bounce and are left unsettled for the caller, who alone can make one. Does not raise StoreError:
    what the store could not do now stays in the queue until the lease ends.
    """
    now_s = context.clock.now_s()
    try:
        outcomes = await context.store.queue.deliver_local(letter, now_s)
    except StoreError as error:
        context.log.event(
            "delivery.deferred", trace=letter.trace_id, letter=letter.letter_id, reply=str(error)
        )
        return ()
    by_id = {recipient.recipient_id: recipient for recipient in letter.recipients}
    given_up: list[tuple[QueuedRecipient, str]] = []
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
            given_up.append((recipient, outcome.reply))
            continue
        later.append(Outcome(outcome.recipient_id, RecipientState.WAITING, outcome.reply, due_at_s))
        _log(context, "delivery.deferred", letter, recipient, outcome.reply)
    if later:
        await context.store.queue.settle(context.owner, letter.letter_id, later)
    return given_up


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
