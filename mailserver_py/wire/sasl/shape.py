"""What a SASL mechanism is to a server (RFC 4422 §3): octets in, a step out.

A mechanism never decides who may log in: it ends in a `Claim`, and whoever owns the accounts decides. One that
needs something of the owner before its end asks by a step of its own (`KeysWanted`).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, TypeAlias

from .keys import Keys


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
class KeysWanted:
    """The exchange waits for `SaslServer.give`: this user's keys, or made-up ones that look like it."""

    user: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the client shows; still to be verified."""

    mechanism: str
    user: str
    """The authentication identity."""
    password: str = field(repr=False)
    acting_as: str = ""
    """The authorization identity; empty when it is the user's own."""


@dataclass(frozen=True, slots=True)
class Proof:
    """How it ended for a client that had to prove what it knows; never shown a password."""

    mechanism: str
    user: str
    failure: str = ""
    """Why nothing was proven, in words for the log; empty when it was."""
    acting_as: str = ""

    @property
    def proven(self) -> bool:
        """Whether the client knows the password behind the keys."""
        return not self.failure


@dataclass(frozen=True, slots=True)
class Refused:
    """The exchange is over; nothing was verified."""

    reason: Refusal


Claim: TypeAlias = Credentials | Proof
Step: TypeAlias = Challenge | KeysWanted | Claim | Refused


@dataclass(frozen=True, slots=True)
class Terms:
    """What the connection and the accounts behind it allow."""

    scram: bool = False
    """Every account has keys. With one that has none, clients that prefer SCRAM would lock its owner out, so
    it is not announced; it is taken from whoever asks for it all the same."""
    bindings: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Channel binding data (RFC 5929) by type: what only the two ends of this very TLS connection know."""

    @property
    def binds(self) -> bool:
        """Whether clients that want a channel bound can have it.

        The type that they take without asking must be among ours: `tls-unique` (RFC 5802 §6.1), or in TLS 1.3
        `tls-exporter` (RFC 9266 §3). With `tls-server-end-point` alone an announcement would lead most of
        them into a failure, where without it they log in.
        """
        return "tls-unique" in self.bindings or "tls-exporter" in self.bindings


class Mechanism(Protocol):
    """One exchange, server side. `step` gets decoded octets; None at the start when there is no initial
    response."""

    def step(self, data: bytes | None) -> Step:
        """Takes the client's next octets."""

    def give(self, keys: Keys, nonce: str) -> Step:
        """Takes what `KeysWanted` asked for."""


class Telling:
    """A mechanism that asks for nothing."""

    def give(self, keys: Keys, nonce: str) -> Step:
        """Nothing was asked."""
        raise AssertionError("no keys were asked for")


@dataclass(frozen=True, slots=True)
class Row:
    """A mechanism on the menu."""

    make: Callable[[Terms], Mechanism]
    announced: Callable[[Terms], bool] = lambda _: True
    possible: Callable[[Terms], bool] = lambda _: True


def decode_text(data: bytes) -> str | None:
    """UTF-8 without NUL, as RFC 4616 §2 asks of names and passwords; None otherwise."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text
