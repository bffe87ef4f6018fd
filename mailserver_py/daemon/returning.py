"""Returns failed letters to their senders: makes the bounce and signs it.

The bounce enters the queue by `Queue.settle`, in the commit that ends the recipients it tells of: there is exactly one
for each failure, whenever a crash comes (promises R02, R19).

What failed from the null reverse-path is a bounce itself, or a report; it is returned to nobody (RFC 5321
§4.5.5) and stands in the log, which the postmaster reads.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailserver_py.mailstore.values import LetterDamaged, NewLetter, QueuedLetter
from mailserver_py.message.fields import UnsafeValue
from mailserver_py.senderauth.dkim.sign import sign
from mailserver_py.smtp.paths import parse_path
from mailserver_py.smtp.replies import Reply

from .bounce import Failure, Sender, build_bounce
from .context import DaemonContext
from .trace_fields import return_path_field


async def make_bounce(
    context: DaemonContext, letter: QueuedLetter, failures: Sequence[Failure]
) -> NewLetter | None:
    """One bounce for all of them; None, and a line in the log, when nobody can have it. Raises StoreError when
    it cannot be kept for now.
    """
    recipients = [failure.address for failure in failures]
    parsed = parse_path(f"<{letter.reverse_path}>", null_allowed=True)
    if parsed is None or not parsed[0].local:
        _log_unreturned(context, letter, recipients, "there is nobody to return it to")
        return None
    reached = context.policy.recipients.resolve(parsed[0], may_relay=True)
    if isinstance(reached, Reply):
        _log_unreturned(context, letter, recipients, reached.render())
        return None
    try:
        original = await context.store.queue.read(letter)
    except LetterDamaged:
        original = b""
    trace_id = context.ids()
    sender = Sender(context.settings.hostname, _domain_for(context, letter))
    now = context.clock.now()
    try:
        bounce = build_bounce(sender, letter, original, failures, message_id=trace_id, now=now)
    except UnsafeValue as error:
        _log_unreturned(context, letter, recipients, f"its sender cannot be written into a letter: {error}")
        return None
    keys = context.signing_keys.get(sender.domain, ())
    staging = context.store.stage()
    await staging.write(return_path_field("") + sign(bounce, keys, context.clock.now_s()) + bounce)
    return NewLetter(
        trace_id=trace_id,
        reverse_path="",
        staged=await staging.finish(),
        recipients=reached,
        received_at_s=context.clock.now_s(),
        smtputf8=not letter.reverse_path.isascii(),
        eight_bit=not bounce.isascii(),
    )


def log_bounced(
    context: DaemonContext, letter: QueuedLetter, failures: Sequence[Failure], bounce: NewLetter
) -> None:
    """Says where the bounce went, once it is in the queue."""
    context.log.event(
        "delivery.bounced",
        trace=letter.trace_id,
        letter=letter.letter_id,
        recipients=[failure.address for failure in failures],
        to=letter.reverse_path,
        bounce=bounce.trace_id,
    )


def _domain_for(context: DaemonContext, letter: QueuedLetter) -> str:
    """The sender's own domain when it is ours, so that the bounce is from the house they know; else the
    first.
    """
    domain = letter.account.rpartition("@")[2]
    return domain if domain in context.settings.domains else next(iter(context.settings.domains))


def _log_unreturned(
    context: DaemonContext, letter: QueuedLetter, recipients: Sequence[str], reason: str
) -> None:
    context.log.event(
        "delivery.unreturned",
        trace=letter.trace_id,
        letter=letter.letter_id,
        recipients=recipients,
        reason=reason,
    )
