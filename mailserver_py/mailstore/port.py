"""The store's port: what every engine offers, async from the first day. `tests/mailstore/contract.py` holds each to it.

Rules that hold for every method:
- When a method that changes something returns, the change is durable: files and directories synced, index committed
  with full sync. Changes of one moment share their syncs.
- Big answers come as whole lists or as chunks, never as a row per await.
- UID sets are ascending sequences of UIDs that need not exist; those that do not are left out of the answer.
- Errors are those of `mailstore.values`; an engine never lets its own escape.
- After each commit the engine calls the `announce` it was built with (`Callable[[Changed], None]`), in the event loop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from .keeping import Erasure, Expunged, Inspection, Restored, Standing
from .values import (
    Appended,
    Changes,
    FlagChange,
    FlagsStored,
    Mailbox,
    Message,
    NewLetter,
    NewMessage,
    Outcome,
    QueuedLetter,
    Staged,
    Usage,
)


class Staging(Protocol):
    """Collects the bytes of one letter: in memory while small, in a temporary file beyond. Never blocks the loop."""

    async def write(self, chunk: bytes) -> None:
        """Takes the next bytes. Raises StoreUnavailable when the disk is full."""

    async def finish(self) -> Staged:
        """The whole letter, hashed. It becomes durable only by `accept` or `append`."""

    async def discard(self) -> None:
        """Forgets the bytes; harmless after `finish` and when called twice."""


class Account(Protocol):
    """One account's mailboxes and messages."""

    name: str

    async def list_mailboxes(self) -> Sequence[Mailbox]:
        """All mailboxes, by name, INBOX first."""

    async def list_subscriptions(self) -> Sequence[str]:
        """Subscribed names, also of mailboxes that no longer exist (RFC 9051 §6.3.7)."""

    async def mailbox(self, name: str) -> Mailbox:
        """One mailbox by name. Raises NoSuchMailbox."""

    async def create(self, name: str, special_use: str = "") -> Mailbox:
        """A new mailbox, and the missing levels above it. Raises MailboxExists, BadMailboxName."""

    async def delete(self, name: str) -> None:
        """Removes a mailbox with its messages; those below it stay. Raises NoSuchMailbox; INBOX: BadMailboxName."""

    async def rename(self, old: str, new: str) -> None:
        """Renames a mailbox and all below it; of INBOX it moves the messages instead (RFC 9051 §6.3.6)."""

    async def subscribe(self, name: str, subscribed: bool) -> None:
        """Adds a name to the subscriptions, or takes it out."""

    async def messages(self, mailbox_id: int) -> Sequence[Message]:
        """Every message, by UID."""

    async def changes(self, mailbox_id: int, since_modseq: int) -> Changes:
        """What changed after `since_modseq`. Raises NoSuchMailbox when the mailbox was deleted."""

    async def digests(
        self, mailbox_id: int, uids: Sequence[int], columns: Sequence[str]
    ) -> Sequence[tuple[object, ...]]:
        """Rows of (uid, *columns), by UID; `columns` are field names of `values.Digest`, or `values.SAVED_AT`."""

    def letters(
        self, mailbox_id: int, uids: Sequence[int]
    ) -> AsyncIterator[Sequence[tuple[int, bytes | None]]]:
        """Chunks of (uid, whole letter), bounded in bytes; None for a letter whose file is missing or damaged."""

    async def append(self, mailbox: str, messages: Sequence[NewMessage]) -> Appended:
        """All of the letters or none. Raises NoSuchMailbox, OverQuota."""

    async def store_flags(
        self,
        mailbox_id: int,
        uids: Sequence[int],
        change: FlagChange,
        flags: int,
        keywords: Sequence[str] = (),
        unchanged_since: int | None = None,
    ) -> FlagsStored:
        """Changes flags in one commit."""

    async def expunge(self, mailbox_id: int, uids: Sequence[int] | None = None) -> Sequence[int]:
        """Removes messages that carry DELETED (of `uids`, or all); the UIDs that went."""

    async def remove(self, mailbox_id: int, uids: Sequence[int]) -> Sequence[int]:
        """Removes messages whatever their flags (POP3's QUIT); the UIDs that went."""

    async def copy(
        self, mailbox_id: int, uids: Sequence[int], target: str, *, whole: bool = False
    ) -> Appended:
        """Copies with flags and dates, all or none. Raises NoSuchMailbox, OverQuota; with `whole` MessageGone when one
        of them is missing."""

    async def move(
        self, mailbox_id: int, uids: Sequence[int], target: str, *, whole: bool = False
    ) -> Appended:
        """Moves in one commit: never in both, never in neither (RFC 6851 §3.3). Raises as `copy` does, but no
        OverQuota."""

    async def replace(self, mailbox_id: int, uid: int, target: str, message: NewMessage) -> Appended:
        """Appends a letter to `target` and removes a message, in one commit (RFC 8508 §3.4); only the difference counts
        against the quota. Raises NoSuchMailbox, MessageGone, OverQuota."""

    async def usage(self) -> Usage:
        """What the account holds."""


class Keeping(Protocol):
    """What operators and house-keeping do to one account. No session sees what was expunged; it counts against no
    quota, but what is kept of it takes no more room than the quota: beyond, the oldest goes for good."""

    async def standing(self) -> Standing:
        """How the account stands against its rules."""

    async def list_expunged(self) -> Sequence[Expunged]:
        """Everything that can be taken back, oldest first."""

    def expunged_letters(
        self, expunged_ids: Sequence[int]
    ) -> AsyncIterator[Sequence[tuple[int, bytes | None]]]:
        """As `Account.letters`, of expunged messages."""

    async def undelete(self, expunged_ids: Sequence[int], target: str = "") -> Sequence[Restored]:
        """Takes messages back into `target`, or where they lay (a mailbox of that name, or INBOX, when that is gone),
        with new UIDs, their keywords, dates, and flags but DELETED; all or none of those that are still kept. Raises
        NoSuchMailbox, OverQuota."""

    async def forget_expunged(self) -> int:
        """Removes for good what was kept for its time; how many messages went. Under legal hold none."""

    async def warn(self, letter: NewMessage, old_percent: int, new_percent: int) -> bool:
        """Puts a warning into INBOX, whatever the quota, and notes in the same commit that `new_percent` was told of.
        False, and nothing done, when `old_percent` is not what was told of before."""

    async def reset_warning(self, old_percent: int, new_percent: int) -> None:
        """Notes that less is used than was warned of, so that the next crossing is told again."""


class Queue(Protocol):
    """The letters on their way. Accepted letters live here until each recipient is delivered or has failed."""

    async def accept(self, letter: NewLetter, owner: str = "", lease_s: int = 0) -> QueuedLetter:
        """The promise: returns when letter and recipients are durable. `owner` leases the local recipients at once, to
        deliver them; outside ones are due at once for whoever asks (`Changed("")` is announced)."""

    async def lease(self, owner: str, now_s: int, lease_s: int, limit_count: int) -> Sequence[QueuedLetter]:
        """Due letters with their due recipients, each handed to one owner until the lease ends."""

    async def renew(
        self, owner: str, now_s: int, lease_s: int, recipient_ids: Sequence[int] | None = None
    ) -> None:
        """Keeps the owner's leases alive: all, or those of some recipients, so that what it let go comes back."""

    async def list_owners(self) -> Sequence[str]:
        """Who holds leases."""

    async def release_owners(self, gone: Sequence[str]) -> int:
        """Ends the leases of owners that will not come back: what they held is due when it was due before. How many
        recipients were let go (`Changed("")` is announced when there are any)."""

    async def deliver_local(self, letter: QueuedLetter, now_s: int) -> Sequence[Outcome]:
        """Puts the letter into the mailboxes of its local recipients, exactly once each however often it is called,
        and settles those that worked. OverQuota and the like come back as WAITING outcomes, unsettled. Two recipients
        of one letter that lead to one mailbox get one copy; a mailbox that is gone sends the letter to INBOX. Raises
        LetterDamaged."""

    async def settle(
        self, owner: str, letter_id: int, outcomes: Sequence[Outcome], bounces: Sequence[NewLetter] = ()
    ) -> bool:
        """Writes what became of an attempt and ends the lease; a letter with nothing WAITING leaves the queue and its
        file is released. `bounces` enter the queue in the same commit: exactly one for each failure. False, and nothing
        written, when the lease was lost to another owner or a recipient is not WAITING any more."""

    async def read(self, letter: QueuedLetter) -> bytes:
        """The whole letter. Raises LetterDamaged."""

    async def list_letters(self, limit_count: int = 1000) -> Sequence[QueuedLetter]:
        """What is in the queue, oldest first, all recipients, for people."""

    async def next_due_at_s(self) -> int | None:
        """When the next lease could find something; None when the queue is empty."""


class Store(Protocol):
    """A site's store."""

    @property
    def queue(self) -> Queue:
        """The letters on their way."""

    @property
    def suspect(self) -> str:
        """Why this process may promise nothing more (a sync failed); empty while all is well. Cure: a new process."""

    def stage(self) -> Staging:
        """A fresh place for the bytes of one letter."""

    async def account(self, name: str, quota_bytes: int = 0) -> Account:
        """Opens an account; at first sight makes it, with INBOX and the usual special-use mailboxes. `quota_bytes` is
        for a store that was opened without rules: with them, they say it; 0 leaves what the account has."""

    async def keeping(self, name: str) -> Keeping:
        """An account that exists, for those who keep house. Raises NoSuchAccount."""

    async def erase(self, name: str, attest: Callable[[Erasure], None] = ...) -> None:
        """Removes every byte of an account that no process uses any more, looks that none is left, and calls `attest`
        with what went, in a thread: a receipt that it writes is never lost. Cut short, it is called again and goes on.
        Raises NoSuchAccount, AccountHeld; StoreUnavailable while the account is in use."""

    async def free_bytes(self) -> int:
        """Space left for letters, so that SMTP can refuse early."""

    async def check(self, repair: bool = False) -> Sequence[str]:
        """Compares files and indexes; one line per finding, empty when all is well."""

    async def maintain(self) -> int:
        """Removes letters' files that nothing refers to any more; how many went. To be called every few minutes by one
        process; harmless when several do."""

    async def inspect(self, start: str, limit_bytes: int) -> Inspection:
        """Looks at a share of the store, about `limit_bytes` of letters from `start` on (empty: from the beginning):
        reads and hashes them, removes old files of nobody, and gives back the room of logs."""

    async def close(self) -> None:
        """Ends the engine's threads after what was promised is written."""
