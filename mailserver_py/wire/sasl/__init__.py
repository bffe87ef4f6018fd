"""SASL, the server's side: RFC 4422, one file per mechanism, this menu, and the base64 lines around them.

The framing is the same in SMTP (RFC 4954 §4), IMAP (RFC 9051 §6.2.2) and POP3 (RFC 5034 §4): base64 lines,
`*` cancels, and an initial response of `=` is an empty one.

Not here, for want of anything in the spec that could verify them: OAUTHBEARER (RFC 7628) needs a provider of
tokens that the site trusts, EXTERNAL (RFC 4422 §A) certificates of clients.

To add a mechanism: a file with `NAME` and a class of `shape.Mechanism`, and a row in `MECHANISMS`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from functools import partial

from . import login, plain, scram
from .keys import Keys
from .plain import plain_response
from .shape import (
    Challenge,
    Claim,
    Credentials,
    KeysWanted,
    Mechanism,
    Proof,
    Refusal,
    Refused,
    Row,
    Step,
    Terms,
)

__all__ = [
    "MECHANISMS",
    "SASL_LINE_BYTES",
    "Challenge",
    "Claim",
    "Credentials",
    "Keys",
    "KeysWanted",
    "Proof",
    "Refusal",
    "Refused",
    "SaslServer",
    "Step",
    "Terms",
    "list_mechanisms",
    "plain_response",
]

SASL_LINE_BYTES = 12_288
"""Longest line of an exchange that all must take (RFC 4954 §4); enough for tickets and tokens."""

MECHANISMS: Mapping[str, Row] = {
    scram.PLUS_NAME: Row(
        partial(scram.Scram, plus=True),
        announced=lambda terms: terms.scram and terms.binds,
        possible=lambda terms: bool(terms.bindings),
    ),
    scram.NAME: Row(partial(scram.Scram, plus=False), announced=lambda terms: terms.scram),
    plain.NAME: Row(lambda _: plain.Plain()),
    login.NAME: Row(lambda _: login.Login()),
}
"""By name, the preferred first; capability lists derive from it by `list_mechanisms`."""


def list_mechanisms(terms: Terms) -> tuple[str, ...]:
    """What to announce under TLS, the preferred first."""
    return tuple(name for name, row in MECHANISMS.items() if row.announced(terms))


class SaslServer:
    """One connection's exchanges, one after the other."""

    def __init__(self, terms: Terms | None = None) -> None:
        self._terms = terms or Terms()
        self._running: Mechanism | None = None

    @property
    def active(self) -> bool:
        """Whether a challenge is open."""
        return self._running is not None

    def start(self, mechanism: str, initial: bytes | None) -> Step:
        """Begins an exchange. `initial` is the initial response as it stood in the command (base64, or `=`
        for an empty one); None when there was none."""
        row = MECHANISMS.get(mechanism.upper())
        if row is None or not row.possible(self._terms):
            return Refused(Refusal.UNKNOWN_MECHANISM)
        self._running = row.make(self._terms)
        if initial is None:
            return self._advance(None)
        return self._decode(b"" if initial == b"=" else initial)

    def step(self, line: bytes) -> Step:
        """The client's answer to a challenge, as a line without its end."""
        if line == b"*":
            self._running = None
            return Refused(Refusal.CANCELLED)
        return self._decode(line)

    def give(self, keys: Keys, nonce: str) -> Step:
        """Answers `KeysWanted`; `nonce` is random, of at least 128 bits, printable and without a comma."""
        if self._running is None:
            raise AssertionError("no exchange was started")
        return self._settle(self._running.give(keys, nonce))

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
        return self._settle(self._running.step(data))

    def _settle(self, step: Step) -> Step:
        if not isinstance(step, Challenge | KeysWanted):
            self._running = None
        return step
