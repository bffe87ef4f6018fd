"""The engine's `port.Account`: each method names its step and waits for the writer, or reads in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ..names import parse_mailbox_name
from ..values import (
    EMPTY_DIGEST,
    INBOX,
    SAVED_AT,
    SEPARATOR,
    Appended,
    BadMailboxName,
    Changed,
    Changes,
    Digest,
    FlagChange,
    FlagsStored,
    LetterDamaged,
    Mailbox,
    Message,
    NewMessage,
    NoSuchMailbox,
    StoreUnavailable,
    Usage,
)
from . import account_changes, account_reads, mailbox_changes, removals, transfers
from .account_changes import Incoming
from .index import store_errors
from .writer import Job

if TYPE_CHECKING:
    from .store import EmbeddedStore

CHUNK_LIMIT_BYTES = 1024 * 1024
"""Letters are read and handed out about so many octets at a time: one hop and one large write for each."""

T = TypeVar("T")


class EmbeddedAccount:
    """One account."""

    def __init__(self, store: EmbeddedStore, name: str) -> None:
        self.store = store
        self.name = name

    # Reading

    async def list_mailboxes(self) -> Sequence[Mailbox]:
        return await self.read(account_reads.list_mailboxes)

    async def list_subscriptions(self) -> Sequence[str]:
        return await self.read(account_reads.list_subscriptions)

    async def mailbox(self, name: str) -> Mailbox:
        wanted = known_name(name)
        return await self.read(lambda db: account_reads.mailbox_by(db, "name", wanted))

    async def messages(self, mailbox_id: int) -> Sequence[Message]:
        return await self.read(lambda db: account_reads.messages(db, mailbox_id))

    async def changes(self, mailbox_id: int, since_modseq: int) -> Changes:
        return await self.read(lambda db: account_reads.changes(db, mailbox_id, since_modseq))

    async def digests(
        self, mailbox_id: int, uids: Sequence[int], columns: Sequence[str]
    ) -> Sequence[tuple[object, ...]]:
        def rows() -> Sequence[tuple[object, ...]]:
            found = self.read_now(lambda db: account_reads.digests(db, mailbox_id, uids, columns))
            return [row[:-1] if row[-1] is None else self.derive_row(row, columns) for row in found]

        return await self.store.in_thread(rows)

    def derive_row(self, row: tuple[object, ...], columns: Sequence[str]) -> tuple[object, ...]:
        """A row whose letter has no digest: derived from the file; empty when that is damaged."""
        digest = EMPTY_DIGEST
        with contextlib.suppress(LetterDamaged, StoreUnavailable):
            digest = self.store.derive(self.store.files.read(str(row[-1]))) or EMPTY_DIGEST
        kept = dict(zip(columns, row[1:], strict=False))
        return (
            row[0],
            *(kept[column] if column == SAVED_AT else getattr(digest, column) for column in columns),
        )

    async def letters(
        self, mailbox_id: int, uids: Sequence[int]
    ) -> AsyncIterator[Sequence[tuple[int, bytes | None]]]:
        rows = await self.read(lambda db: account_reads.letters(db, mailbox_id, uids))
        shares = share_out(rows)
        ahead: asyncio.Future[Sequence[tuple[int, bytes | None]]] | None = None
        try:
            for number, share in enumerate(shares):
                chunk = await (ahead or self.store.in_thread(self.read_share, share))
                # The next chunk is read while this one is sent.
                more = number + 1 < len(shares)
                ahead = self.store.in_thread(self.read_share, shares[number + 1]) if more else None
                yield chunk
        finally:
            if ahead is not None:
                ahead.cancel()

    def read_share(self, rows: Sequence[tuple[int, str, int]]) -> Sequence[tuple[int, bytes | None]]:
        """One chunk of letters, in a thread."""
        chunk: list[tuple[int, bytes | None]] = []
        for uid, sha256, _ in rows:
            try:
                chunk.append((uid, self.store.files.read(sha256)))
            except LetterDamaged:
                chunk.append((uid, None))
        return chunk

    async def usage(self) -> Usage:
        return await self.read(account_reads.usage)

    async def read(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """Runs a reading function in a thread, on one committed state."""
        return await self.store.in_thread(self.read_now, run)

    def read_now(self, run: Callable[[sqlite3.Connection], T]) -> T:
        with store_errors(), self.store.shelf.using(self.name) as index, index.reading() as db:
            return run(db)

    # Changing mailboxes

    async def create(self, name: str, special_use: str = "") -> Mailbox:
        wanted = parse_mailbox_name(name.removesuffix(SEPARATOR))
        first = await self.store.take_uid_validities(mailbox_changes.VALUES_PER_CREATE_COUNT)
        await self.change(
            lambda db: mailbox_changes.create_mailbox(db, wanted, special_use, first), Changed(self.name)
        )
        return await self.mailbox(wanted)

    async def delete(self, name: str) -> None:
        wanted = known_name(name)
        now_s = int(self.store.clock())

        def run(db: sqlite3.Connection) -> None:
            mailbox_id, hashes = mailbox_changes.delete_mailbox(db, wanted, now_s)
            job.released.extend(hashes)
            job.changed.append(Changed(self.name, mailbox_id))

        job = self.job(run, Changed(self.name))
        await self.store.perform(job)

    async def rename(self, old: str, new: str) -> None:
        source, target = known_name(old), parse_mailbox_name(new.removesuffix(SEPARATOR))
        count = mailbox_changes.VALUES_PER_CREATE_COUNT + len(await self.list_mailboxes())
        first = await self.store.take_uid_validities(count)
        now_s = int(self.store.clock())

        def run(db: sqlite3.Connection) -> None:
            mailbox_changes.rename_mailbox(db, source, target, first, now_s)
            if source == INBOX:
                job.changed.append(Changed(self.name, account_changes.mailbox_id_of(db, INBOX)))

        job = self.job(run, Changed(self.name))
        await self.store.perform(job)

    async def subscribe(self, name: str, subscribed: bool) -> None:
        try:
            wanted = parse_mailbox_name(name)
        except BadMailboxName:
            if subscribed:
                raise
            return  # never subscribed
        await self.change(
            lambda db: mailbox_changes.subscribe(db, wanted, subscribed=subscribed), Changed(self.name)
        )

    # Changing messages

    async def append(self, mailbox: str, messages: Sequence[NewMessage]) -> Appended:
        wanted = known_name(mailbox)

        def put(db: sqlite3.Connection, letters: Sequence[Incoming]) -> Appended:
            mailbox_id, appended = account_changes.append(db, wanted, letters)
            job.changed.append(Changed(self.name, mailbox_id))
            return appended

        job = await self.incoming_job(messages, put)
        answer: Appended = await self.store.perform(job)
        return answer

    async def replace(self, mailbox_id: int, uid: int, target: str, message: NewMessage) -> Appended:
        wanted = known_name(target)
        now_s = int(self.store.clock())

        def put(db: sqlite3.Connection, letters: Sequence[Incoming]) -> Appended:
            target_id, appended, hashes = transfers.replace(db, mailbox_id, uid, wanted, letters[0], now_s)
            job.released.extend(hashes)
            job.changed.extend(Changed(self.name, changed) for changed in {target_id, mailbox_id})
            return appended

        job = await self.incoming_job([message], put)
        answer: Appended = await self.store.perform(job)
        return answer

    async def incoming_job(
        self,
        messages: Sequence[NewMessage],
        put: Callable[[sqlite3.Connection, Sequence[Incoming]], Appended],
    ) -> Job:
        """A job whose step finds the letters ready: their files durable, their digests made."""
        staged = [message.staged for message in messages]
        await self.store.presync(staged)
        digests: dict[str, Digest | None] = await self.store.derive_large(staged)
        now_s = int(self.store.clock())

        def prepare(_: Job) -> None:
            for letter in staged:
                if letter.sha256 not in digests:
                    digests[letter.sha256] = self.store.derive(
                        letter.data or self.store.files.read(letter.sha256)
                    )

        def run(db: sqlite3.Connection) -> Appended:
            incoming = [
                Incoming(
                    m.staged.sha256,
                    m.staged.size_bytes,
                    m.received_at_s,
                    digests[m.staged.sha256],
                    m.flags,
                    m.keywords,
                    now_s,
                )
                for m in messages
            ]
            return put(db, incoming)

        job = self.job(run)
        job.staged, job.prepare = staged, prepare
        return job

    async def store_flags(
        self,
        mailbox_id: int,
        uids: Sequence[int],
        change: FlagChange,
        flags: int,
        keywords: Sequence[str] = (),
        unchanged_since: int | None = None,
    ) -> FlagsStored:
        def run(db: sqlite3.Connection) -> FlagsStored:
            changed, answer = account_changes.store_flags(
                db, mailbox_id, uids, change, flags, keywords, unchanged_since
            )
            if changed:
                job.changed.append(Changed(self.name, mailbox_id))
            return answer

        job = self.job(run)
        answer: FlagsStored = await self.store.perform(job)
        return answer

    async def expunge(self, mailbox_id: int, uids: Sequence[int] | None = None) -> Sequence[int]:
        now_s = int(self.store.clock())
        return await self.removing(mailbox_id, lambda db: removals.expunge(db, mailbox_id, uids, now_s))

    async def remove(self, mailbox_id: int, uids: Sequence[int]) -> Sequence[int]:
        now_s = int(self.store.clock())
        return await self.removing(mailbox_id, lambda db: removals.remove(db, mailbox_id, uids, now_s))

    async def removing(
        self, mailbox_id: int, remove: Callable[[sqlite3.Connection], tuple[list[int], list[str]]]
    ) -> Sequence[int]:
        """Runs a step that answers with the UIDs that went and the files let go."""

        def run(db: sqlite3.Connection) -> list[int]:
            uids, hashes = remove(db)
            job.released.extend(hashes)
            if uids:
                job.changed.append(Changed(self.name, mailbox_id))
            return uids

        job = self.job(run)
        answer: list[int] = await self.store.perform(job)
        return answer

    async def copy(
        self, mailbox_id: int, uids: Sequence[int], target: str, *, whole: bool = False
    ) -> Appended:
        return await self.transfer(mailbox_id, uids, target, moving=False, whole=whole)

    async def move(
        self, mailbox_id: int, uids: Sequence[int], target: str, *, whole: bool = False
    ) -> Appended:
        return await self.transfer(mailbox_id, uids, target, moving=True, whole=whole)

    async def transfer(
        self, mailbox_id: int, uids: Sequence[int], target: str, *, moving: bool, whole: bool
    ) -> Appended:
        wanted = known_name(target)
        now_s = int(self.store.clock())

        def run(db: sqlite3.Connection) -> Appended:
            target_id, appended = transfers.transfer(
                db, mailbox_id, uids, wanted, now_s, moving=moving, whole=whole
            )
            if appended.uids:
                job.changed.append(Changed(self.name, target_id))
                if moving:
                    job.changed.append(Changed(self.name, mailbox_id))
            return appended

        job = self.job(run)
        answer: Appended = await self.store.perform(job)
        return answer

    async def change(self, run: Callable[[sqlite3.Connection], Any], *changed: Changed) -> Any:
        """Runs one step in the account's database."""
        return await self.store.perform(self.job(run, *changed))

    def job(self, run: Callable[[sqlite3.Connection], Any], *changed: Changed) -> Job:
        """A job of one step in the account's database."""
        return Job(self.store.new_future(), accounts=[(self.name, run)], changed=list(changed))


def known_name(name: str) -> str:
    """The normal form of a name that should exist. Raises NoSuchMailbox when none can have it."""
    try:
        return parse_mailbox_name(name)
    except BadMailboxName as error:
        raise NoSuchMailbox(str(error)) from error


def share_out(rows: Sequence[tuple[int, str, int]]) -> list[list[tuple[int, str, int]]]:
    """Cuts rows of (uid, hash, size) into chunks of about CHUNK_LIMIT_BYTES."""
    shares: list[list[tuple[int, str, int]]] = []
    room_bytes = 0
    for row in rows:
        if not shares or row[2] > room_bytes:
            shares.append([])
            room_bytes = CHUNK_LIMIT_BYTES
        shares[-1].append(row)
        room_bytes -= row[2]
    return shares
