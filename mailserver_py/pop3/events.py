"""What a session tells its owner, and what the owner must do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mailserver_py.wire.sasl import Claim

from .maildrop import Entry


class Signal(Enum):
    """Events without data."""

    NEED_DATA = "send what is to be sent, then read"
    START_TLS = "send what is to be sent, start TLS, then `tls_started`"
    PAUSED = "an event was not answered yet"


@dataclass(frozen=True, slots=True)
class SaslKeys:
    """A SASL exchange needs a user's keys, or made-up ones: `give_keys`."""

    user: str


@dataclass(frozen=True, slots=True)
class Login:
    """Somebody claims to be a user: `opened`, or `refuse`."""

    claim: Claim


@dataclass(frozen=True, slots=True)
class Retrieve:
    """A letter is wanted: `letter_follows` and then send its pieces, or `refuse`."""

    entry: Entry
    line_count: int | None
    """TOP's number of body lines; None for the whole letter."""


@dataclass(frozen=True, slots=True)
class Update:
    """QUIT after a login (RFC 1939 §6): `updated`, or `refuse`."""

    deleted_uids: tuple[int, ...]
    retrieved_uids: tuple[int, ...]
    """Those that were read and stay."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The session is over: send what is to be sent, and close."""


Event = Signal | SaslKeys | Login | Retrieve | Update | Closed
