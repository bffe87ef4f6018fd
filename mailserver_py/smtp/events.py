"""What a server session tells its owner. Those marked *answer* stop the session until `reply` is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeAlias

from mailserver_py.wire.sasl import Claim

from .extensions import ParameterValue
from .paths import Path
from .replies import Reply


class Signal(Enum):
    """Events without a value."""

    NEED_DATA = "need data"
    """Nothing to do before more bytes come: send what is to be sent, then read."""
    PAUSED = "paused"
    """An answer, or the TLS handshake, is owed."""
    START_TLS = "start TLS"
    """Send what is to be sent, do the handshake, call `tls_started`."""
    LETTER_WANTED = "letter wanted"
    """DATA. *answer* `replies.SEND_LETTER`, or a refusal."""
    LETTER_END = "letter end"
    """The letter is complete and clean. *answer*: its fate."""


NEED_DATA: Final = Signal.NEED_DATA
PAUSED: Final = Signal.PAUSED
START_TLS: Final = Signal.START_TLS
LETTER_WANTED: Final = Signal.LETTER_WANTED
LETTER_END: Final = Signal.LETTER_END


@dataclass(frozen=True, slots=True)
class SaslKeys:
    """A SASL exchange needs a user's keys, or made-up ones: `give_keys`, not `reply`."""

    user: str


@dataclass(frozen=True, slots=True)
class Login:
    """A client says who it is. *answer* `replies.AUTHENTICATED` or `replies.BAD_CREDENTIALS`."""

    claim: Claim = field(repr=False)


@dataclass(frozen=True, slots=True)
class Mail:
    """MAIL, and a new transaction: whatever stood of an older one is void. *answer*."""

    reverse_path: Path
    parameters: Mapping[str, ParameterValue]

    @property
    def smtputf8(self) -> bool:
        """RFC 6531 §3.4."""
        return "SMTPUTF8" in self.parameters

    @property
    def eight_bit(self) -> bool:
        """RFC 6152: the sender said that the letter is not pure ASCII."""
        return self.parameters.get("BODY") == "8BITMIME"

    @property
    def size_bytes(self) -> int:
        """RFC 1870: the announced size; 0 when none was."""
        return int(self.parameters.get("SIZE", 0))


@dataclass(frozen=True, slots=True)
class Recipient:
    """RCPT. *answer*."""

    forward_path: Path
    parameters: Mapping[str, ParameterValue]


@dataclass(frozen=True, slots=True)
class LetterChunk:
    """The next octets of the letter, dot-stuffing undone."""

    data: bytes


@dataclass(frozen=True, slots=True)
class LetterRefused:
    """The letter ended and the session has refused it: forget its bytes."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Closed:
    """The session is over: send what is to be sent, and close."""

    reason: str


Event: TypeAlias = Signal | SaslKeys | Login | Mail | Recipient | LetterChunk | LetterRefused | Closed
