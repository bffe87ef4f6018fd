"""SASL, the server's side: RFC 4422, one file per mechanism, this menu, and the base64 lines around them.

The framing is the same in SMTP (RFC 4954 §4), IMAP (RFC 9051 §6.2.2) and POP3 (RFC 5034 §4): base64 lines,
`*` cancels, and an initial response of `=` is an empty one.

To add a mechanism: a file with `NAME` and a class of `shape.Mechanism`, and a row in `MECHANISMS`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

from . import login, plain
from .plain import plain_response
from .shape import Challenge, Credentials, Mechanism, Refusal, Refused, Step

__all__ = [
    "MECHANISMS",
    "SASL_LINE_BYTES",
    "Challenge",
    "Credentials",
    "Refusal",
    "Refused",
    "SaslServer",
    "Step",
    "plain_response",
]

SASL_LINE_BYTES = 12_288
"""Longest line of an exchange that all must take (RFC 4954 §4); enough for tickets and tokens."""

MECHANISMS: dict[str, Callable[[], Mechanism]] = {
    plain.NAME: plain.Plain,
    login.NAME: login.Login,
}
"""By name, the preferred first; capability lists derive from the keys."""


class SaslServer:
    """One connection's exchanges, one after the other."""

    def __init__(self) -> None:
        self._running: Mechanism | None = None

    @property
    def active(self) -> bool:
        """Whether a challenge is open."""
        return self._running is not None

    def start(self, mechanism: str, initial: bytes | None) -> Step:
        """Begins an exchange. `initial` is the initial response as it stood in the command (base64, or `=`
        for an empty one); None when there was none."""
        make = MECHANISMS.get(mechanism.upper())
        if make is None:
            return Refused(Refusal.UNKNOWN_MECHANISM)
        self._running = make()
        if initial is None:
            return self._advance(None)
        return self._decode(b"" if initial == b"=" else initial)

    def step(self, line: bytes) -> Step:
        """The client's answer to a challenge, as a line without its end."""
        if line == b"*":
            self._running = None
            return Refused(Refusal.CANCELLED)
        return self._decode(line)

    def _decode(self, line: bytes) -> Step:
        try:
            data = base64.b64decode(line, validate=True)
        except binascii.Error:
            self._running = None
            return Refused(Refusal.NOT_BASE64)
        return self._advance(data)

    def _advance(self, data: bytes | None) -> Step:
        if self._running is None:
            raise AssertionError("no exchange was started")
        step = self._running.step(data)
        if not isinstance(step, Challenge):
            self._running = None
        return step
