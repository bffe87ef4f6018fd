"""Bounces, read back by the standard library."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime
from email.message import Message
from typing import cast

from mailserver_py.daemon.attempt import Fate, Result
from mailserver_py.daemon.bounce import HEADER_LIMIT_BYTES, Failure, Sender, build_bounce
from mailserver_py.mailstore.values import QueuedLetter, QueuedRecipient, RecipientState
from mailserver_py.smtp.replies import reply

LETTER = b"From: alice@example.org\r\nTo: dave@elsewhere.example\r\nSubject: Hi\r\n\r\nSecret body\r\n"


def recipient(path: str, original: str = "") -> QueuedRecipient:
    return QueuedRecipient(1, path, "", "INBOX", original, RecipientState.WAITING, 0, 0, "")


def parts(message: Message) -> list[Message]:
    return cast(list[Message], message.get_payload())


def group(message: Message, number: int = 1) -> Message:
    return parts(parts(message)[1])[number]


def bounce(*failures: Failure, data: bytes = LETTER, reverse_path: str = "alice@example.org") -> Message:
    letter = QueuedLetter(7, "traceid", reverse_path, "", len(data), 1_800_000_000, "", False, False)
    built = build_bounce(
        Sender("mx1.example.org", "example.org"),
        letter,
        data,
        failures,
        message_id="id",
        now=datetime(2027, 1, 15, 8, 0, 0, tzinfo=UTC),
    )
    assert b"\n" not in built.replace(b"\r\n", b"")
    return email.message_from_bytes(built, policy=email.policy.compat32)


REFUSED = Result(
    Fate.FAILED,
    "5.1.1",
    "mx.elsewhere.example: 550 5.1.1 no such user",
    "mx.elsewhere.example",
    reply(550, "5.1.1", "no such user"),
)


def test_a_bounce_is_a_report_of_three_parts() -> None:
    message = bounce(Failure(recipient("dave@elsewhere.example"), REFUSED))
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert message["To"] == "<alice@example.org>"
    assert message["From"] == "Mail delivery <postmaster@example.org>"
    assert message["Auto-Submitted"] == "auto-replied"
    text, status, original = parts(message)
    assert "dave@elsewhere.example" in text.get_payload()
    assert "traceid" in text.get_payload()
    per_message, per_recipient = parts(status)
    assert per_message["Reporting-MTA"] == "dns; mx1.example.org"
    assert dict(per_recipient.items()) == {
        "Final-Recipient": "rfc822; dave@elsewhere.example",
        "Action": "failed",
        "Status": "5.1.1",
        "Remote-MTA": "dns; mx.elsewhere.example",
        "Diagnostic-Code": "smtp; 550 5.1.1 no such user",
    }
    assert original.get_content_type() == "text/rfc822-headers"
    assert "Subject: Hi" in original.get_payload()
    assert "Secret body" not in message.as_string()


def test_each_recipient_has_its_own_group() -> None:
    failures = [Failure(recipient(f"r{n}@elsewhere.example"), REFUSED) for n in range(3)]
    assert len(parts(parts(bounce(*failures))[1])) == 4


def test_where_an_alias_leads_is_not_told() -> None:
    failure = Failure(
        recipient("hidden@elsewhere.example", "sales@example.org"),
        Result(Fate.FAILED, "4.4.1", "nobody answers"),
    )
    text = bounce(failure).as_string()
    assert "sales@example.org" in text
    assert "hidden" not in text


def test_what_a_hostile_server_said_stays_in_its_place() -> None:
    said = reply(550, "5.1.1", "no\r\nX-Injected: yes\r\n\r\nevil \u2028 ünïcode")
    failure = Failure(recipient("dave@elsewhere.example"), Result(Fate.FAILED, "5.1.1", "text", "mx", said))
    message = bounce(failure)
    assert message["X-Injected"] is None
    assert group(message)["X-Injected"] is None


def test_a_huge_header_is_cut_and_a_lost_letter_does_without() -> None:
    huge = b"".join(b"X-%d: yes\r\n" % n for n in range(100_000)) + b"\r\nbody\r\n"
    failure = Failure(recipient("dave@elsewhere.example"), REFUSED)
    assert len(bounce(failure, data=huge).as_bytes()) < HEADER_LIMIT_BYTES + 4_000
    assert len(parts(bounce(failure, data=b""))) == 3


def test_a_non_ascii_recipient_is_named_safely() -> None:
    message = bounce(Failure(recipient("grüße@elsewhere.example"), REFUSED))
    assert group(message)["Final-Recipient"] == r"utf-8; gr\x{FC}\x{DF}e@elsewhere.example"
