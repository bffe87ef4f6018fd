"""Tagged replies and refusals: RFC 9051 §7.1, response codes of RFC 5530, and the one table from store errors to them.

A command ends by returning a `Reply` or by raising a `Refused`; nothing else of ours ever becomes text for a client.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import PeerError
from ..mailstore.values import (
    BadMailboxName,
    LetterDamaged,
    MailboxExists,
    MessageGone,
    NoSuchMailbox,
    OverQuota,
    StoreError,
    StoreUnavailable,
)


@dataclass(frozen=True, slots=True)
class Reply:
    """How a command ended."""

    status: bytes
    """OK, NO or BAD."""
    text: bytes
    """For people; never empty (RFC 9051 §7.1: `resp-text`)."""
    code: bytes = b""
    """The response code without its brackets."""

    def serialize(self, tag: bytes) -> bytes:
        """`tag OK [CODE] text`, CRLF included; `*` as tag makes it untagged."""
        if self.code:
            return b"%b %b [%b] %b\r\n" % (tag, self.status, self.code, self.text)
        return b"%b %b %b\r\n" % (tag, self.status, self.text)


class Refused(PeerError):
    """The command is not done; carries its reply."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text.decode("ascii", "replace"))
        self.reply = reply


def ok(text: bytes, code: bytes = b"") -> Reply:
    """Done."""
    return Reply(b"OK", text, code)


def no(text: bytes, code: bytes = b"") -> Refused:
    """To be raised: understood, but not to be done."""
    return Refused(Reply(b"NO", text, code))


def bad(text: bytes, code: bytes = b"") -> Refused:
    """To be raised: not understood, or not allowed now."""
    return Refused(Reply(b"BAD", text, code))


_STORE_ERRORS: tuple[tuple[type[StoreError], bytes, bytes], ...] = (
    (NoSuchMailbox, b"NONEXISTENT", b"There is no such mailbox"),
    (MailboxExists, b"ALREADYEXISTS", b"There is a mailbox of that name"),
    (BadMailboxName, b"CANNOT", b"No mailbox can be named so, or this one has to stay"),
    (MessageGone, b"EXPUNGEISSUED", b"Some of the messages no longer exist"),
    (OverQuota, b"OVERQUOTA", b"The account is full"),
    (StoreUnavailable, b"UNAVAILABLE", b"The mail store cannot do this now, try later"),
    (LetterDamaged, b"SERVERBUG", b"A message is damaged on the server"),
)
"""RFC 5530 §3. Where a missing mailbox could be created by the client, the command itself says TRYCREATE."""


def refusal_of(error: StoreError) -> Reply:
    """What a client is told of a store's refusal."""
    for family, code, text in _STORE_ERRORS:
        if isinstance(error, family):
            return Reply(b"NO", text, code)
    return Reply(b"NO", b"The mail store refuses", b"SERVERBUG")


def try_create(error: NoSuchMailbox) -> Refused:
    """The refusal of APPEND, COPY and MOVE when the target is missing (RFC 9051 §6.3.12, §6.4.7)."""
    del error
    return no(b"There is no such mailbox", b"TRYCREATE")
