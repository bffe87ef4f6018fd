"""The letter that says that a letter failed: RFC 3464 in a multipart/report, RFC 6522; sent from the null
reverse-path.

Pure. What is returned to the sender is the header of the letter, not its body: enough to recognise it by, and
nothing to attack a forged sender with (promises S46).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mailserver_py.mailstore.values import QueuedLetter, QueuedRecipient
from mailserver_py.message.build import delivery_status, header_content, report, serialize_letter
from mailserver_py.message.date import serialize_date

from .attempt import Result

HEADER_LIMIT_BYTES = 32_768
"""Of the letter's header: a bounce stays small whatever bounced."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who reports."""

    hostname: str
    domain: str
    """The domain that the bounce is from, whose DKIM keys sign it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One recipient that will not get the letter."""

    recipient: QueuedRecipient
    result: Result

    @property
    def address(self) -> str:
        """As the sender wrote it: where an alias leads is nobody's business outside (RFC 3464 §2.3.2)."""
        return self.recipient.original or self.recipient.forward_path


def build_bounce(
    sender: Sender,
    letter: QueuedLetter,
    data: bytes,
    failures: Sequence[Failure],
    *,
    message_id: str,
    now: datetime,
) -> bytes:
    """The whole bounce, unsigned. `data` is the letter that failed, or empty when it cannot be read any
    more.
    """
    fields = (
        ("From", f"Mail delivery <postmaster@{sender.domain}>"),
        ("To", f"<{letter.reverse_path}>"),
        ("Subject", "Undelivered mail: your letter was not delivered"),
        ("Date", serialize_date(now).decode()),
        ("Message-ID", f"<{message_id}@{sender.hostname}>"),
        # RFC 3834 §5: nobody's auto-responder answers this.
        ("Auto-Submitted", "auto-replied"),
    )
    message = (
        ("Reporting-MTA", f"dns; {sender.hostname}"),
        ("Arrival-Date", serialize_date(datetime.fromtimestamp(letter.received_at_s, now.tzinfo)).decode()),
    )
    body = report(
        _explain(sender, letter, failures),
        delivery_status(message, [_group(failure) for failure in failures]),
        header_content(_bounded_header(data)),
    )
    return serialize_letter(fields, body, utf8=not letter.reverse_path.isascii())


def _explain(sender: Sender, letter: QueuedLetter, failures: Sequence[Failure]) -> str:
    lines = [
        f"This is the mail server {sender.hostname}.",
        "",
        "Your letter could not be delivered to the following "
        + ("recipient:" if len(failures) == 1 else "recipients:"),
        "",
    ]
    for failure in failures:
        lines += [f"  {failure.address}", f"    {failure.result.text}", ""]
    lines += [
        "It will not be tried again. The header of your letter is attached.",
        f"When you ask about it, name its number here: {letter.trace_id}",
    ]
    return "\n".join(lines)


def _group(failure: Failure) -> Sequence[tuple[str, str]]:
    result = failure.result
    kind = "rfc822" if failure.address.isascii() else "utf-8"  # RFC 6533 §3
    fields = [
        ("Final-Recipient", f"{kind}; {_encoded(failure.address)}"),
        ("Action", "failed"),
        ("Status", result.status),
    ]
    if result.reply is not None:
        fields.append(("Remote-MTA", f"dns; {result.host}"))
        fields.append(("Diagnostic-Code", f"smtp; {_encoded(result.reply.render())}"))
    return fields


def _encoded(text: str) -> str:
    """utf-8-addr-xtext's safe form for what is not printable ASCII (RFC 6533 §3)."""
    return "".join(char if " " <= char <= "~" else f"\\x{{{ord(char):X}}}" for char in text)


def _bounded_header(data: bytes) -> bytes:
    if len(data) <= HEADER_LIMIT_BYTES:
        return data
    head = data[:HEADER_LIMIT_BYTES]
    end = head.find(b"\r\n\r\n")
    if end >= 0:
        return head[: end + 4]
    return head[: head.rfind(b"\r\n") + 2]
