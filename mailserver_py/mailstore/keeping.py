"""The values of house-keeping: what was expunged and can be taken back, how an account stands, what upkeep found.

Like those of `values`, but no session ever has to do with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .values import Usage


class Expunged(NamedTuple):
    """A message that was expunged and can be taken back. No session sees it, and it counts against no quota."""

    expunged_id: int
    """Unique in the account for ever."""
    mailbox: str
    """Where it lay: that mailbox's name now, or its last one when it was deleted."""
    uid: int
    """The UID it had there."""
    flags: int
    keywords: str
    size_bytes: int
    received_at_s: int
    expunged_at_s: int
    sha256: str
    subject: str


class Restored(NamedTuple):
    """An expunged message that is one of a mailbox again."""

    expunged_id: int
    mailbox: str
    uid: int
    """A new one."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How an account stands against its rules, for those who keep house."""

    usage: Usage
    expunged_count: int
    expunged_bytes: int
    kept_for_s: int
    is_held: bool
    warned_percent: int
    """The share of the quota that its owner was last told of; 0: none."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a look at a share of the store found."""

    next_start: str
    """Where the next look goes on, to be handed back to it; empty when the last share was seen."""
    file_count: int
    size_bytes: int
    damaged: Sequence[str]
    """One line for each letter that is missing or damaged."""
    orphan_count: int
    """Files that belonged to nobody; they were removed."""
    log_count: int
    """Write-ahead logs that were carried over."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was erased with an account, proved by looking for it afterwards."""

    mailbox_count: int
    message_count: int
    expunged_count: int
    letter_count: int
    """Different letters that the account referred to."""
    size_bytes: int
    """Of those letters."""
    removed_count: int
    """Letters' files that only this account referred to."""
    shared_count: int
    """Letters that others have too: their files stay, without any trace of this account."""
    dropped_count: int
    """Letters that the account had sent and that were still in the queue."""
    returned_count: int
    """Recipients in the queue that led to the account: their senders get a bounce."""
