"""Tells people that their account is nearly full: one letter for each crossing of 80 and 95 percent.

Which share was told of stands in the account's own database, in one commit with the letter: a crash neither repeats
a warning nor loses it.
"""

from __future__ import annotations

from mailserver_py.mailstore.keeping import Standing
from mailserver_py.mailstore.port import Keeping
from mailserver_py.mailstore.values import NewMessage, StoreError, Usage
from mailserver_py.message.build import serialize_letter
from mailserver_py.message.date import serialize_date

from .context import DaemonContext

LEVELS_PERCENT = (95, 80)
"""Time to tidy up, and the last moment before letters are refused."""

AGAIN_PERCENT = 5
"""Only who fell so far below what was told of is told again: an account that hovers about the line hears once."""

UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def used_percent(usage: Usage) -> int:
    """How full an account is by the limit it is nearest to; rounded down, so that 100 is full."""
    shares = [
        (usage.size_bytes, usage.quota_bytes),
        (usage.message_count, usage.message_limit_count),
        (usage.mailbox_count, usage.mailbox_limit_count),
    ]
    return max((100 * used // limit for used, limit in shares if limit), default=0)


def level_of(percent: int) -> int:
    """The highest level that is reached; 0: none."""
    return next((level for level in LEVELS_PERCENT if percent >= level), 0)


async def warn_owners(context: DaemonContext) -> int:
    """Looks at every account and warns whose share crossed a level; how many were warned."""
    warned_count = 0
    for name, settings in context.settings.accounts.items():
        if settings.enabled and name != context.settings.verification_account:
            try:
                warned_count += await warn_owner(context, name)
            except StoreError as error:
                context.log.event("maintenance.failed", account=name, error=str(error))
    return warned_count


async def warn_owner(context: DaemonContext, name: str) -> bool:
    """Looks at one account. Raises StoreError."""
    await context.store.account(name, context.settings.accounts[name].quota_bytes)
    keeping = await context.store.keeping(name)
    standing = await keeping.standing()
    percent, told_percent = used_percent(standing.usage), standing.warned_percent
    level_percent = level_of(percent)
    if level_percent > told_percent:
        return await send_warning(context, name, keeping, standing, level_percent)
    if told_percent and percent < told_percent - AGAIN_PERCENT:
        await keeping.reset_warning(told_percent, level_percent)
    return False


async def send_warning(
    context: DaemonContext, name: str, keeping: Keeping, standing: Standing, level_percent: int
) -> bool:
    """Puts the letter into the account's INBOX, unless another process did."""
    trace_id = context.ids()
    staging = context.store.stage()
    await staging.write(build_warning(context, name, standing.usage, level_percent, trace_id))
    letter = NewMessage(await staging.finish(), context.clock.now_s())
    was_put = await keeping.warn(letter, standing.warned_percent, level_percent)
    if was_put:
        context.log.event("quota.warned", trace=trace_id, account=name, percent=used_percent(standing.usage))
    return was_put


def build_warning(
    context: DaemonContext, name: str, usage: Usage, level_percent: int, trace_id: str
) -> bytes:
    """The letter."""
    domain = name.rpartition("@")[2]
    percent = used_percent(usage)
    fields = (
        ("From", f"Mail system <postmaster@{domain}>"),
        ("To", f"<{name}>"),
        ("Subject", f"Your mailbox is {percent} % full"),
        ("Date", serialize_date(context.clock.now()).decode()),
        ("Message-ID", f"<{trace_id}@{context.settings.hostname}>"),
        # RFC 3834 §5: nobody's auto-responder answers this.
        ("Auto-Submitted", "auto-generated"),
    )
    body = "\n".join(
        [
            f"The mailbox {name} is {percent} % full:",
            "",
            *describe(usage),
            "",
            "When it is full, letters to you are held back and then returned to their senders.",
            "Please remove what you do not need, large letters first, and empty the trash.",
            *(["This is the last warning."] if level_percent == max(LEVELS_PERCENT) else []),
        ]
    )
    return serialize_letter(fields, body, utf8=not name.isascii())


def describe(usage: Usage) -> list[str]:
    """One line for each limit."""
    lines = []
    if usage.quota_bytes:
        lines.append(f"  space      {render_size(usage.size_bytes)} of {render_size(usage.quota_bytes)}")
    if usage.message_limit_count:
        lines.append(f"  letters    {usage.message_count:,} of {usage.message_limit_count:,}")
    if usage.mailbox_limit_count:
        lines.append(f"  mailboxes  {usage.mailbox_count:,} of {usage.mailbox_limit_count:,}")
    return lines


def render_size(size_bytes: int) -> str:
    """Octets for people."""
    for unit_bytes, word in UNITS:
        if size_bytes >= unit_bytes:
            return f"{size_bytes / unit_bytes:.1f} {word}"
    return f"{size_bytes} octets"
