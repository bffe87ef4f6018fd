"""What a client session is told to do, and what it tells its owner."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from .replies import Reply


class StartTls(Enum):
    """Whether the connection becomes TLS."""

    NEVER = "never"
    WHEN_OFFERED = "when offered"
    REQUIRED = "required"


class Stage(Enum):
    """What a client waits for; the value is its name for people."""

    GREETING = "greeting"
    HELLO = "EHLO"
    HELLO_OLD = "HELO"
    START_TLS = "STARTTLS"
    TLS = "TLS handshake"
    AUTH = "AUTH"
    READY = "between letters"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    LETTER = "letter"
    END_OF_LETTER = "end of letter"
    RSET = "RSET"
    SETTLED = "settled"
    """Every recipient has its answer, without one from the peer."""
    QUIT = "QUIT"
    CLOSED = "closed"


STAGE_TIMEOUT_S: dict[Stage, int] = {
    Stage.GREETING: 300,
    Stage.HELLO: 300,
    Stage.HELLO_OLD: 300,
    Stage.START_TLS: 120,
    Stage.TLS: 60,
    Stage.AUTH: 60,
    Stage.READY: 30,
    Stage.MAIL: 300,
    Stage.RCPT: 300,
    Stage.DATA: 120,
    Stage.LETTER: 180,
    Stage.END_OF_LETTER: 600,
    Stage.RSET: 60,
    Stage.SETTLED: 0,
    Stage.QUIT: 10,
    Stage.CLOSED: 0,
}
"""RFC 5321 §4.5.3.2 where it names one. A shorter wait at the end of a letter makes duplicates."""


class ClientSignal(Enum):
    """Events without a value."""

    NEED_DATA = "need data"
    """Send what is to be sent, then read."""
    START_TLS = "start TLS"
    """Send what is to be sent, do the handshake, call `tls_started`."""
    READY = "ready"
    """Call `start` with an envelope, or `quit`."""
    LETTER_WANTED = "letter wanted"
    """Call `send_letter` for each chunk, sending as you go, then `end_letter`."""
    CLOSED = "closed"
    """Send what is to be sent, and close."""


CLIENT_NEED_DATA: Final = ClientSignal.NEED_DATA
CLIENT_START_TLS: Final = ClientSignal.START_TLS
CLIENT_READY: Final = ClientSignal.READY
CLIENT_LETTER_WANTED: Final = ClientSignal.LETTER_WANTED
CLIENT_CLOSED: Final = ClientSignal.CLOSED


@dataclass(frozen=True, slots=True)
class Envelope:
    """One letter as it is offered. Paths are without angle brackets, domains A-labels unless `smtputf8`."""

    reverse_path: str
    recipients: tuple[str, ...]
    size_bytes: int = 0
    """0: not announced."""
    eight_bit: bool = False
    smtputf8: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """The letter's fate, one reply for each recipient in the envelope's order: 2xx means that it is theirs
    now.
    """

    replies: tuple[Reply, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """The connection is of no more use."""

    stage: Stage
    why: str
    """One line for people; what the peer said is in it, bounded and printable."""
    reply: Reply | None = None
    """What the peer said, when it was that which ended it."""
    replies: tuple[Reply | None, ...] = ()
    """In the middle of a letter: what is already settled of each recipient."""


ClientEvent: TypeAlias = ClientSignal | Sent | Failed
