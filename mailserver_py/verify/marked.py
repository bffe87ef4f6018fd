"""The test letter: marked, unmistakable, and hard to carry unharmed.

Its body has what transports break: a line that starts with a dot, a line of exactly 998 octets (RFC 5322 §2.1.1),
trailing spaces, "From " at a line's start, and UTF-8.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mailserver_py.message.date import serialize_date

MARK = "X-Mailserver-Verification"
"""The header field that says to people and programmes: a test, to be removed."""


@dataclass(frozen=True, slots=True)
class Marked:
    """A test letter and the token by which it is found again, [a-z0-9] only."""

    token: str
    data: bytes


def marked_letter(*, token: str, sender: str, recipient: str, at: datetime) -> Marked:
    """A test letter with CRLF line ends."""
    header = (
        f"From: {sender}\r\n"
        f"To: {recipient}\r\n"
        f"Subject: Verification {token}\r\n"
        f"Date: {serialize_date(at).decode('ascii')}\r\n"
        f"Message-ID: <{token}@verification.{sender.rpartition('@')[2]}>\r\n"
        f"{MARK}: {token}\r\n"
        "Auto-Submitted: auto-generated\r\n"  # no vacation notice answers it (RFC 3834 §5)
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 8bit\r\n"
        "\r\n"
    )
    body = (
        "This letter tests the way. It removes itself; nobody has to read it.\r\n"
        ".\r\n"
        "..a line with two dots\r\n"
        "From a line that looks like an envelope\r\n"
        "spaces at the end   \r\n"
        "Grüße, 世界, 🙂\r\n" + "x" * 998 + "\r\n"
    )
    return Marked(token, (header + body).encode())
