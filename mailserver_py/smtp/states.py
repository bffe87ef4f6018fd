"""Which command may follow which: RFC 5321 §4.1.4, RFC 3207 §4, RFC 4954 §4.

Rule 1: a session moves by this table and by nothing else. The cell is the state after a positive reply; after
a negative one the state stays. A missing cell is the protocol error: 503, bad sequence of commands.
"""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """Where a session stands."""

    CONNECTED = "connected"
    """No HELO or EHLO yet, or forgotten by TLS."""
    READY = "ready"
    MAIL = "mail"
    """A sender is accepted, no recipient yet."""
    RECIPIENTS = "recipients"
    LETTER = "letter"
    """After 354: bytes are the letter's until CRLF.CRLF."""
    SASL = "sasl"
    """Between AUTH and its end: lines are the mechanism's."""
    TLS = "tls"
    """After STARTTLS's 220: nothing is read until the handshake is done."""
    CLOSED = "closed"


_ANY_TIME = ("NOOP", "HELP", "VRFY", "EXPN")
"""Allowed in every state between commands, and changing none (RFC 5321 §4.1.4)."""

NEXT: dict[State, dict[str, State]] = {
    State.CONNECTED: {
        "HELO": State.READY,
        "EHLO": State.READY,
        "RSET": State.CONNECTED,
        "QUIT": State.CLOSED,
        **dict.fromkeys(_ANY_TIME, State.CONNECTED),
    },
    State.READY: {
        "HELO": State.READY,
        "EHLO": State.READY,
        "MAIL": State.MAIL,
        "STARTTLS": State.TLS,
        "AUTH": State.SASL,
        "RSET": State.READY,
        "QUIT": State.CLOSED,
        **dict.fromkeys(_ANY_TIME, State.READY),
    },
    State.MAIL: {
        "HELO": State.READY,
        "EHLO": State.READY,
        "RCPT": State.RECIPIENTS,
        "RSET": State.READY,
        "QUIT": State.CLOSED,
        **dict.fromkeys(_ANY_TIME, State.MAIL),
    },
    State.RECIPIENTS: {
        "HELO": State.READY,
        "EHLO": State.READY,
        "RCPT": State.RECIPIENTS,
        "DATA": State.LETTER,
        "RSET": State.READY,
        "QUIT": State.CLOSED,
        **dict.fromkeys(_ANY_TIME, State.RECIPIENTS),
    },
}
"""LETTER, SASL and TLS take no commands; they end in READY, READY and CONNECTED."""

VERBS = frozenset(verb for row in NEXT.values() for verb in row)
"""Every verb there is: one that is known but misplaced gets 503, an unknown one 500."""
