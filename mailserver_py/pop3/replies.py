"""Every answer that a client can get: RFC 1939 §3, codes by RFC 2449 §8 and RFC 3206 §4.

Nothing that a client sent is in any of them.
"""

from __future__ import annotations

from dataclasses import dataclass

ERROR_LINE_BYTES = 512
"""Longest first line of an answer, CRLF included (RFC 2449 §4)."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One line: +OK, or -ERR with an optional code."""

    positive: bool
    text: str
    code: str = ""

    def serialize(self) -> bytes:
        """The wire form."""
        sign = "+OK" if self.positive else "-ERR"
        code = f" [{self.code}]" if self.code else ""
        text = f" {self.text}" if self.text else ""
        return f"{sign}{code}{text}".encode()[: ERROR_LINE_BYTES - 2] + b"\r\n"


def ok(text: str = "") -> Reply:
    """+OK"""
    return Reply(True, text)


def error(text: str, code: str = "") -> Reply:
    """-ERR"""
    return Reply(False, text, code)


UNKNOWN_COMMAND = error("There is no such command")
WRONG_STATE = error("Not now: this command belongs to another state")
BAD_ARGUMENTS = error("The arguments are not what this command takes")
LINE_TOO_LONG = error("The line is too long")
BARE_LINE_ENDING = error("Lines end in CRLF")
TOO_MANY_BAD = error("Too many bad commands, goodbye")
NOT_POP3 = error("This is a POP3 server, goodbye")

TLS_FIRST = error("A password needs TLS: say STLS first")
TLS_ACTIVE = error("TLS is active already")
TLS_UNAVAILABLE = error("TLS is not available here")
START_TLS = ok("Begin the TLS negotiation now")
NOTHING_MAY_FOLLOW = error("Nothing may follow STLS before TLS is there, goodbye")

USER_FIRST = error("Say USER first")
LOGIN_REFUSED = error("The name or the password is wrong", "AUTH")
TOO_MANY_LOGINS = error("Too many failed logins, goodbye", "AUTH")
ACTING_AS_REFUSED = error("Nobody acts for another here", "AUTH")
UNKNOWN_MECHANISM = error("There is no such mechanism")
CANCELLED = error("Cancelled")
NOT_BASE64 = error("That is not base64")
MALFORMED_SASL = error("That is not what the mechanism says")
IN_USE = error("Another session holds the maildrop", "IN-USE")
MAILDROP_UNAVAILABLE = error("The maildrop cannot be opened now, try later", "SYS/TEMP")

NO_SUCH_MESSAGE = error("There is no such message")
IS_DELETED = error("The message is marked as deleted")
MESSAGE_GONE = error("Another session removed the message", "SYS/TEMP")
MESSAGE_DAMAGED = error("The message is damaged on the server", "SYS/PERM")
MESSAGE_UNAVAILABLE = error("The message cannot be read now, try later", "SYS/TEMP")
NOT_REMOVED = error("Some deleted messages were not removed", "SYS/TEMP")
IDLE_TOO_LONG = error("Too long without a command, goodbye")
UNKNOWN_LANGUAGE = error("There are no texts in that language")


def incident(incident_id: str) -> Reply:
    """A bug of ours: its id finds the traceback in the log."""
    return error(f"The server made a mistake (incident {incident_id})", "SYS/PERM")
