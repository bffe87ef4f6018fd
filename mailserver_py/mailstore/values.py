"""The values that cross the store's port: plain, frozen, free of any engine and of any protocol.

Invariants: a UID is assigned once and never reused (RFC 9051 §2.3.1.1); a MODSEQ only grows (RFC 7162 §3.1);
instants are UTC; sizes are octets of the letter as it is served, CRLF line ends included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, IntFlag
from typing import NamedTuple

INBOX = "INBOX"
"""The one mailbox every account has; its name matches in any case (RFC 9051 §5.1)."""

SEPARATOR = "/"
"""The hierarchy separator inside mailbox names."""


class Flag(IntFlag):
    """System flags (RFC 9051 §2.3.2), one bit each; everything else is a keyword."""

    SEEN = 1
    ANSWERED = 2
    FLAGGED = 4
    DELETED = 8
    DRAFT = 16


class FlagChange(Enum):
    """How STORE changes flags (RFC 9051 §6.4.6)."""

    REPLACE = "FLAGS"
    ADD = "+FLAGS"
    REMOVE = "-FLAGS"


class Mailbox(NamedTuple):
    """A mailbox and its counters, as of one committed state of the account."""

    mailbox_id: int
    """Stable across renames, never reused inside an account."""
    name: str
    """Unicode, NFC, levels joined by SEPARATOR; the inbox is exactly `INBOX`."""
    uid_validity: int
    uid_next: int
    highest_modseq: int
    message_count: int
    unseen_count: int
    deleted_count: int
    size_bytes: int
    subscribed: bool
    special_use: str
    """`\\Sent`, `\\Trash` … (RFC 6154), or empty."""


class Message(NamedTuple):
    """What a session keeps of every message it sees. One row, cheap to make in the tens of thousands."""

    uid: int
    modseq: int
    flags: int
    """Bits of `Flag`."""
    keywords: str
    """Keywords joined by a space, sorted, as first spelled; empty when there are none."""
    size_bytes: int
    received_at_s: int
    """INTERNALDATE, seconds since the epoch, UTC."""
    sha256: str
    """Name of the message file, hex."""


@dataclass(frozen=True, slots=True)
class Digest:
    """What is computed once, at delivery, so that no later command has to parse the letter again.

    The store keeps these columns without reading them; `imap.digest.derive` makes them, the daemon wires it in.
    """

    envelope: bytes
    """ENVELOPE (RFC 9051 §7.5.2), wire form, parentheses included."""
    bodystructure: bytes
    """BODYSTRUCTURE with extension data, wire form."""
    body: bytes
    """BODY: the same without extension data, wire form."""
    parts: bytes
    """Offsets of every part, in `imap.digest`'s own compact form, so that BODY[2.1] is a slice."""
    header_bytes: int
    """Length of the header, the empty line included: RFC822.HEADER is `letter[:header_bytes]`."""
    sent_at_s: int
    """The Date field, seconds since the epoch, UTC; 0 when there is none to be read."""
    subject: str
    """Decoded, unfolded Subject."""
    message_id: str
    thread_ids: str = ""
    """The letter's id, a line end, and those of its ancestors, for THREAD (RFC 5256)."""


SAVED_AT = "saved_at_s"
"""A column beside those of the digest: when the message came into its mailbox (RFC 8514), seconds since the epoch."""

EMPTY_DIGEST = Digest(b"", b"", b"", b"", 0, 0, "", "")
"""For stores and tests that have no IMAP reader."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened in one mailbox after a given MODSEQ."""

    mailbox: Mailbox
    messages: Sequence[Message]
    """New messages and messages whose flags changed, by UID."""
    expunged_uids: Sequence[int]


@dataclass(frozen=True, slots=True)
class Appended:
    """The answer to an append, a copy or a move: UIDPLUS's numbers (RFC 4315 §3)."""

    uid_validity: int
    uids: Sequence[int]
    """In the order of the request."""
    source_uids: Sequence[int] = ()
    """Copies and moves only: the source UID of each, same order."""


@dataclass(frozen=True, slots=True)
class FlagsStored:
    """The answer to a flag change."""

    messages: Sequence[Message]
    """Those that exist and were changed (or already as wished), with their new flags and MODSEQ."""
    refused_uids: Sequence[int]
    """Those whose MODSEQ was higher than `unchanged_since` (RFC 7162 §3.1.3)."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What an account holds, against what it may hold."""

    size_bytes: int
    message_count: int
    quota_bytes: int
    """0: no limit, as with the others."""
    mailbox_count: int = 0
    message_limit_count: int = 0
    mailbox_limit_count: int = 0
    grace_bytes: int = 0
    """What a delivery may go beyond `quota_bytes`; an append or a copy may not."""


@dataclass(frozen=True, slots=True)
class AccountRules:
    """What the site wishes for an account; the store keeps them with it."""

    quota_bytes: int = 0
    """0: no limit, as with the others."""
    message_limit_count: int = 0
    mailbox_limit_count: int = 0
    grace_bytes: int = 0
    """What a delivery may go beyond the quota, so that a letter is not refused for the last few octets."""
    kept_for_s: int = 0
    """How long expunged messages can be taken back; 0: they go at once."""
    is_held: bool = False
    """Legal hold: expunged messages are kept for ever, and the account cannot be erased."""


NO_RULES = AccountRules()
"""No limits, nothing kept."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A letter whose bytes are complete and hashed, but not yet promised to anybody."""

    sha256: str
    size_bytes: int
    path: str
    """Where the bytes lie: a temporary file of the engine, or empty when they are in `data`."""
    data: bytes | None
    """The letter itself when it is small enough to be kept in memory."""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A letter on its way into a mailbox."""

    staged: Staged
    received_at_s: int
    flags: int = 0
    keywords: str = ""


class RecipientState(Enum):
    """The life of one recipient of one queued letter."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class NewRecipient:
    """A recipient as it enters the queue: resolved, so that nothing has to be looked up again for local mail."""

    forward_path: str
    """Where it goes: a local account's address or an outside address."""
    account: str = ""
    """The local account, or empty when the letter goes out."""
    mailbox: str = INBOX
    """The local mailbox name."""
    original: str = ""
    """The address that the sender used, for bounces (RFC 3464 §2.3.1); empty when it is `forward_path`."""


@dataclass(frozen=True, slots=True)
class NewLetter:
    """A letter as it enters the queue; accepting it is the moment of the promise."""

    trace_id: str
    """In every log line about the letter, and in its Received field."""
    reverse_path: str
    """Empty for the null reverse-path."""
    staged: Staged
    recipients: Sequence[NewRecipient]
    received_at_s: int
    account: str = ""
    """The authenticated submitter, or empty for mail from the world."""
    smtputf8: bool = False
    eight_bit: bool = False


@dataclass(frozen=True, slots=True)
class QueuedRecipient:
    """A recipient in the queue."""

    recipient_id: int
    """Unique in the site for ever: it makes local delivery repeatable without a duplicate."""
    forward_path: str
    account: str
    mailbox: str
    original: str
    state: RecipientState
    attempt_count: int
    next_attempt_at_s: int
    last_reply: str
    """What the last attempt ended with, one line for people."""


@dataclass(frozen=True, slots=True)
class QueuedLetter:
    """A letter in the queue with those of its recipients that were asked for."""

    letter_id: int
    trace_id: str
    reverse_path: str
    sha256: str
    size_bytes: int
    received_at_s: int
    account: str
    smtputf8: bool
    eight_bit: bool
    recipients: Sequence[QueuedRecipient] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt for one recipient."""

    recipient_id: int
    state: RecipientState
    reply: str
    next_attempt_at_s: int = 0
    """Only while WAITING."""


@dataclass(frozen=True, slots=True)
class Changed:
    """Announced after a commit: something in this account (or, with an empty name, in the queue) changed."""

    account: str
    mailbox_id: int = 0
    """0: the list of mailboxes itself, or the queue."""


class StoreError(Exception):
    """The store refuses; each protocol has one table from these to its replies."""


class NoSuchMailbox(StoreError):
    """The name does not exist (IMAP: NONEXISTENT or TRYCREATE)."""


class MailboxExists(StoreError):
    """The name is taken (IMAP: ALREADYEXISTS)."""


class BadMailboxName(StoreError):
    """No mailbox can have this name (IMAP: CANNOT). The text says why."""


class OverQuota(StoreError):
    """The account is full (IMAP: OVERQUOTA, SMTP: 452 4.2.2)."""


class MessageGone(StoreError):
    """A message that was named does not exist any more (IMAP: EXPUNGEISSUED)."""


class NoSuchAccount(StoreError):
    """The store has no account of this name."""


class AccountHeld(StoreError):
    """The account is under legal hold: nothing of it may be removed for good."""


class StoreUnavailable(StoreError):
    """Disk full, locked, or marked suspect: temporary (IMAP: UNAVAILABLE, SMTP: 451 4.3.0)."""


class StoreFull(StoreUnavailable):
    """No room on the disk: the same, but it is the operator who can help (SMTP: 452 4.3.1)."""


class LetterDamaged(StoreError):
    """A message file is missing or its hash differs; only this message is hurt (IMAP: SERVERBUG)."""


def utc_s(at: datetime) -> int:
    """Whole seconds since the epoch of an aware instant."""
    return int(at.timestamp())
