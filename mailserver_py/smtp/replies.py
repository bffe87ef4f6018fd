"""Replies: RFC 5321 §4.2, with enhanced status codes (RFC 2034, RFC 3463).

The table holds the law of the protocol: what a session says by itself. What the house decides (unknown user,
no relaying) is in the daemon's own table.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from mailserver_py.wire.sasl import Refusal

MAX_TEXT_BYTES = 500
"""One reply line is at most 512 octets with code and CRLF (RFC 5321 §4.5.3.1.5)."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply of either side: code, enhanced code (empty when there is none), and its lines of text."""

    code: int
    enhanced: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The lines joined by a space, for logs and people."""
        return " ".join(self.lines)

    @property
    def positive(self) -> bool:
        """2xx and 3xx."""
        return self.code < 400

    @property
    def permanent(self) -> bool:
        """5xx: asking again does not help."""
        return self.code >= 500

    def serialize(self) -> bytes:
        """The wire form. Control and non-ASCII characters become `?`, and lines are cut at the protocol's
        limit.
        """
        return _serialize(self)

    def render(self) -> str:
        """`550 5.1.1 no such user`, on one line."""
        return " ".join(part for part in (str(self.code), self.enhanced, self.text) if part)


def reply(code: int, enhanced: str, *lines: str) -> Reply:
    """A reply value."""
    return Reply(code, enhanced, lines or ("",))


@lru_cache(maxsize=512)
def _serialize(value: Reply) -> bytes:
    out = []
    last = len(value.lines) - 1
    for number, line in enumerate(value.lines):
        text = f"{value.enhanced} {line}" if value.enhanced else line
        clean = "".join(char if " " <= char <= "~" else "?" for char in text)[:MAX_TEXT_BYTES]
        out.append(f"{value.code}{' ' if number == last else '-'}{clean}\r\n".encode("ascii"))
    return b"".join(out)


OK = reply(250, "2.0.0", "OK")
RESET = reply(250, "2.0.0", "reset")
SENDER_OK = reply(250, "2.1.0", "sender OK")
RECIPIENT_OK = reply(250, "2.1.5", "recipient OK")
SEND_LETTER = reply(354, "", "end with <CRLF>.<CRLF>")
BYE = reply(221, "2.0.0", "bye")
CANNOT_VERIFY = reply(252, "2.1.5", "send some mail and see")
HELP = reply(214, "2.0.0", "RFC 5321; questions go to postmaster")
START_TLS = reply(220, "2.0.0", "ready for TLS")
AUTHENTICATED = reply(235, "2.7.0", "authenticated")

SHUTTING_DOWN = reply(421, "4.3.2", "closing: the service is restarting")
TIMED_OUT = reply(421, "4.4.2", "closing: too slow")
TOO_MANY_ERRORS = reply(421, "4.7.0", "closing: too many errors")
TOO_MANY_COMMANDS = reply(421, "4.7.0", "closing: too many commands without a letter")
INTERNAL_ERROR = reply(451, "4.3.0", "internal error")
TOO_MANY_RECIPIENTS = reply(452, "4.5.3", "too many recipients, send the rest in another letter")

SYNTAX_ERROR = reply(500, "5.5.2", "syntax error")
LINE_TOO_LONG = reply(500, "5.5.2", "line too long")
UNKNOWN_COMMAND = reply(500, "5.5.1", "unknown command")
BAD_ARGUMENTS = reply(501, "5.5.4", "bad arguments")
BAD_SENDER_SYNTAX = reply(501, "5.1.7", "bad sender address syntax")
BAD_RECIPIENT_SYNTAX = reply(501, "5.1.3", "bad recipient address syntax")
NOTHING_MAY_FOLLOW = reply(501, "5.5.4", "nothing may follow STARTTLS before its reply")
AUTH_CANCELLED = reply(501, "5.7.0", "authentication cancelled")
NOT_IMPLEMENTED = reply(502, "5.5.1", "not implemented")
BAD_SEQUENCE = reply(503, "5.5.1", "bad sequence of commands")
NO_RECIPIENTS = reply(554, "5.5.1", "no valid recipients")
BAD_PARAMETER_VALUE = reply(501, "5.5.4", "bad parameter value")
UNKNOWN_MECHANISM = reply(504, "5.5.4", "unknown authentication mechanism")
MUST_START_TLS = reply(530, "5.7.0", "must issue a STARTTLS command first")
MUST_AUTHENTICATE = reply(530, "5.7.0", "authentication required")
BAD_CREDENTIALS = reply(535, "5.7.8", "authentication credentials invalid")
ENCRYPTION_REQUIRED = reply(538, "5.7.11", "encryption required for authentication")
LETTER_TOO_BIG = reply(552, "5.3.4", "letter too big")
NEEDS_SMTPUTF8 = reply(553, "5.6.7", "non-ASCII addresses need SMTPUTF8")
NOT_HTTP = reply(554, "5.5.1", "this is a mail server")
BARE_LINE_ENDING = reply(554, "5.6.0", "bare CR or LF in the letter (RFC 5321 section 2.3.8)")
NUL_IN_LETTER = reply(554, "5.6.0", "NUL in the letter (RFC 5322 section 2.1)")
UNKNOWN_PARAMETER = reply(555, "5.5.4", "unknown parameter")

AT_ONCE = {
    "RSET": (RESET, False),
    "NOOP": (OK, True),
    "HELP": (HELP, True),
    "QUIT": (BYE, False),
}
"""Commands that are answered at once: the reply, and whether they may have an argument (RFC 5321 §4.1.1)."""

OF_SASL = {
    Refusal.UNKNOWN_MECHANISM: UNKNOWN_MECHANISM,
    Refusal.CANCELLED: AUTH_CANCELLED,
    Refusal.NOT_BASE64: BAD_ARGUMENTS,
    Refusal.MALFORMED: BAD_ARGUMENTS,
}
"""RFC 4954 §4."""
