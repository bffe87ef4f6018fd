"""What a SASL mechanism is to a server (RFC 4422 §3): octets in, a step out.

A mechanism never compares a password: it ends in `Credentials`, and whoever owns the accounts decides. One
that needs more of the owner than that (a stored key, a token check) adds its own kind of step here.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol


class Refusal(Enum):
    """Why an exchange ended without credentials; each protocol has its words for these."""

    UNKNOWN_MECHANISM = "unknown mechanism"
    CANCELLED = "cancelled by the client"
    NOT_BASE64 = "not base64"
    MALFORMED = "not what the mechanism says"


@dataclass(frozen=True, slots=True)
class Challenge:
    """Octets for the client; the exchange goes on."""

    data: bytes = b""

    @property
    def line(self) -> bytes:
        """Base64, as it stands after SMTP's `334 `, and after `+ ` in IMAP and POP3."""
        return base64.b64encode(self.data)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the client claims; still to be verified."""

    mechanism: str
    user: str
    """The authentication identity."""
    password: str = field(repr=False)
    acting_as: str = ""
    """The authorization identity; empty when it is the user's own."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The exchange is over; nothing was verified."""

    reason: Refusal


Step = Challenge | Credentials | Refused


class Mechanism(Protocol):
    """One exchange, server side. `step` gets decoded octets; None at the start when there is no initial
    response."""

    def step(self, data: bytes | None) -> Step:
        """Takes the client's next octets."""


def decode_text(data: bytes) -> str | None:
    """UTF-8 without NUL, as RFC 4616 §2 asks of names and passwords; None otherwise."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text
