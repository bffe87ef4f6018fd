"""The embedded engine's front: opens a folder as a site's store, and hands out accounts, the queue and staging."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from ...errors import OperatorError, Reason
from ..keeping import Erasure, Inspection
from ..values import EMPTY_DIGEST, AccountRules, Changed, Digest, NoSuchAccount, Staged, StoreUnavailable
from . import mailbox_changes, queue_changes
from .account import EmbeddedAccount
from .check import check_store
from .erase import erase_account
from .files import Files, sync_file
from .index import Shelf, store_errors
from .inspect import inspect_store
from .keeping import EmbeddedKeeping
from .queue import EmbeddedQueue
from .release import release_files
from .site import Site
from .staging import FileStaging
from .transaction import SyncFailed
from .writer import Job, Writer

READER_THREAD_COUNT = 4
"""Reads wait for the disk and for SQLite, both outside the interpreter's lock; two cores want a few of them."""

RECENT_LIMIT_BYTES = 32 * 1024 * 1024
"""Letters just accepted are kept for the delivery that follows within milliseconds."""

SMALL_LETTER_BYTES = 64 * 1024
"""A digest of a letter up to this size is derived in the writer itself; a larger one would keep the batch waiting."""

T = TypeVar("T")

Rules = Callable[[str], AccountRules | None]
"""The site's wish for an account, by its name."""


def no_digest(_: bytes) -> Digest:
    """For stores without an IMAP reader."""
    return EMPTY_DIGEST


class Recent:
    """The octets of the last letters, by hash; used by several threads."""

    def __init__(self, limit_bytes: int = RECENT_LIMIT_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self.lock = threading.Lock()
        self.letters: OrderedDict[str, bytes] = OrderedDict()
        self.size_bytes = 0

    def put(self, sha256: str, data: bytes) -> None:
        """Keeps a letter, and forgets the oldest beyond the limit."""
        with self.lock:
            if sha256 not in self.letters:
                self.letters[sha256] = data
                self.size_bytes += len(data)
            while self.size_bytes > self.limit_bytes:
                self.size_bytes -= len(self.letters.popitem(last=False)[1])

    def get(self, sha256: str) -> bytes | None:
        """The letter, if it is still here."""
        with self.lock:
            return self.letters.get(sha256)


class EmbeddedStore:
    """The engine's `port.Store`. Several processes may have the same folder open."""

    def __init__(
        self,
        root: Path,
        announce: Callable[[Changed], None],
        digest: Callable[[bytes], Digest],
        clock: Callable[[], float],
        rules: Rules | None,
    ) -> None:
        self.root = root
        self.digest = digest
        self.clock = clock
        self.files = Files(root)
        self.site = Site(root)
        self.shelf = Shelf(root / "accounts")
        self.recent = Recent()
        self.readers = ThreadPoolExecutor(READER_THREAD_COUNT, "store-reader")
        self.writer = Writer(self.files, self.site, self.shelf, announce, lambda: int(clock()))
        self.rules = rules
        self.ruled: dict[str, AccountRules | None] = {}
        """Accounts that this process has opened, with the rules it wrote."""
        self.queue = EmbeddedQueue(self)

    @classmethod
    def open(
        cls,
        root: Path,
        *,
        announce: Callable[[Changed], None] = lambda _: None,
        digest: Callable[[bytes], Digest] = no_digest,
        clock: Callable[[], float] = time.time,
        rules: Rules | None = None,
    ) -> EmbeddedStore:
        """Opens the store in a folder, making what is missing. Raises OperatorError when it cannot be used.

        `announce` is called in the event loop after each commit; `clock` gives seconds since the epoch; `rules` are
        written to each account before it is used (None for an account: as they are).
        """
        try:
            return cls(Path(root), announce, digest, clock, rules)
        except (OSError, SyncFailed) as error:
            cure = "check the folder's owner and disk"
            raise OperatorError(Reason(f"the store cannot be opened: {error}", cure, str(root))) from error
        except sqlite3.Error as error:
            cure = "restore site.db from the backup"
            raise OperatorError(
                Reason(f"the site's database is damaged: {error}", cure, str(root))
            ) from error

    @property
    def suspect(self) -> str:
        """Why this process may promise nothing more, after a failed sync; empty while all is well. The cure is a new
        process: end this one."""
        return self.writer.suspect

    def stage(self) -> FileStaging:
        """A fresh place for the octets of one letter."""
        return FileStaging(self.files, self.readers)

    async def account(self, name: str, quota_bytes: int = 0) -> EmbeddedAccount:
        """Opens an account, making it at first sight. Raises StoreUnavailable."""
        account = EmbeddedAccount(self, name)
        rules = self.rules_of(name)
        if self.rules is None and quota_bytes:
            rules = AccountRules(quota_bytes)
        if name not in self.ruled or self.ruled[name] != rules:
            # Without rules too: it makes the account, and leads an older one to the present version.
            await account.change(lambda db: mailbox_changes.set_rules(db, rules) if rules else None)
            self.ruled[name] = rules
        return account

    def rules_of(self, name: str) -> AccountRules | None:
        """The site's wish for an account; None: no wish."""
        return self.rules(name) if self.rules else None

    async def keeping(self, name: str) -> EmbeddedKeeping:
        """An account that exists, for those who keep house. Raises NoSuchAccount, StoreUnavailable."""
        if not self.shelf.path(name).exists():
            raise NoSuchAccount(name)
        await self.account(name)
        return EmbeddedKeeping(self, name)

    async def erase(self, name: str, attest: Callable[[Erasure], None] = lambda _: None) -> None:
        """Removes every byte of an account. Raises NoSuchAccount, AccountHeld, StoreUnavailable."""
        # Behind everything that waits: what this process still writes to the account is part of it.
        await self.perform(Job(self.new_future(), site=queue_changes.settled_below))
        self.ruled.pop(name, None)
        self.writer.made.discard(name)
        await self.in_thread(self.guarded, erase_account, self, name, attest)

    async def inspect(self, start: str, limit_bytes: int) -> Inspection:
        """Looks at a share of the store. Raises StoreUnavailable."""
        return await self.in_thread(self.guarded, inspect_store, self, start, limit_bytes)

    async def free_bytes(self) -> int:
        """What may still be written."""
        return await self.in_thread(self.files.free_bytes)

    async def check(self, repair: bool = False) -> Sequence[str]:
        """Compares files and indexes, reading every file. Findings, one line each."""
        return await self.in_thread(self.guarded, check_store, self, repair)

    async def maintain(self) -> int:
        """Removes files that nobody refers to any more, and what dead processes left; how many files went."""
        # Behind everything that waits: what was expunged before this call is noted when it begins.
        await self.perform(Job(self.new_future(), site=queue_changes.settled_below))
        return await self.in_thread(self.guarded, release_files, self)

    def guarded(self, run: Callable[..., T], *arguments: Any) -> T:
        """Runs upkeep in a thread, in the store's own errors; a failed sync counts here as anywhere."""
        try:
            with store_errors():
                return run(*arguments)
        except SyncFailed as error:
            self.writer.suspect = self.writer.suspect or str(error)
            raise StoreUnavailable(str(error)) from error
        except OperatorError as error:
            raise StoreUnavailable(str(error)) from error

    async def close(self) -> None:
        """Ends the threads after what was promised is written."""
        await asyncio.get_running_loop().run_in_executor(None, self.close_now)

    def close_now(self) -> None:
        """Ends the threads and closes everything."""
        self.writer.close()
        self.readers.shutdown()
        self.shelf.close()
        self.site.close()
        self.files.close()

    # For the account and the queue

    def new_future(self) -> asyncio.Future[Any]:
        """A future of the running loop."""
        return asyncio.get_running_loop().create_future()

    async def perform(self, job: Job) -> Any:
        """Hands a job to the writer and waits for its answer."""
        self.writer.submit(job)
        return await job.future

    def in_thread(self, run: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        """Runs a function in a reader thread."""
        return asyncio.get_running_loop().run_in_executor(self.readers, run, *arguments)

    async def take_uid_validities(self, count: int) -> int:
        """The first of `count` fresh UIDVALIDITY values, durably taken."""
        now_s = int(self.clock())
        job = Job(self.new_future(), site=lambda site: queue_changes.take_uid_validities(site, now_s, count))
        first: int = await self.perform(job)
        return first

    async def presync(self, letters: Sequence[Staged]) -> None:
        """Syncs the files of large letters before they join a batch. Raises StoreUnavailable."""
        for letter in letters:
            if letter.path:
                try:
                    await self.in_thread(sync_file, letter.path)
                except SyncFailed as error:
                    self.writer.suspect = self.writer.suspect or str(error)
                    raise StoreUnavailable(str(error)) from error

    def derive(self, letter: bytes) -> Digest | None:
        """The digest; None when deriving it fails, for a letter must arrive all the same."""
        try:
            return self.digest(letter)
        except Exception:  # a bug in a reader of letters must not stop mail
            return None

    def read_letter(self, sha256: str) -> bytes:
        """A letter, from memory if it came just now. Raises LetterDamaged."""
        return self.recent.get(sha256) or self.files.read(sha256)

    async def derive_large(self, letters: Sequence[Staged]) -> dict[str, Digest | None]:
        """Digests of the large ones among new letters, by hash."""
        large = [letter for letter in letters if letter.size_bytes > SMALL_LETTER_BYTES]
        return {letter.sha256: await self.in_thread(self.derive_staged, letter) for letter in large}

    def derive_staged(self, letter: Staged) -> Digest | None:
        """The digest of a letter that has no name yet, or has it from an earlier promise."""
        if letter.data is not None:
            return self.derive(letter.data)
        try:
            return self.derive(Path(letter.path).read_bytes())
        except FileNotFoundError:
            return self.derive(self.files.read(letter.sha256))
        except OSError as error:
            raise StoreUnavailable(f"cannot read the letter: {error.strerror}") from error

    async def derive_if_large(self, sha256: str, size_bytes: int) -> Digest | None:
        """The digest of a large letter; None for a small one, which the writer derives itself. Raises LetterDamaged."""
        if size_bytes <= SMALL_LETTER_BYTES:
            return None
        return await self.in_thread(lambda: self.derive(self.read_letter(sha256)))
