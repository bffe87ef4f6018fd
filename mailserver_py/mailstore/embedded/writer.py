"""The one thread of a process that changes the store: it takes all that waits, writes it, syncs once, then answers.

A batch goes: letters' files, synced together → one transaction of the site's database for what enters the queue, whose
callers are answered → one transaction for each account → one more of the site's database for deliveries that are done.
Answers go to the event loop in one call for each of these stages, not one for each letter.

Jobs of one account run in the order they came; a job of the site's database may overtake one of an account.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ...errors import OperatorError
from ..names import USUAL_MAILBOXES
from ..values import Changed, Staged, StoreUnavailable
from . import queue_changes
from .files import Files
from .index import Index, Shelf
from .mailbox_changes import create_account
from .refusals import refusal
from .schema import made_mark
from .site import Site
from .transaction import Step, SyncFailed, sync_folder, transact

ACCOUNT_THREAD_COUNT = 4
"""Accounts that commit together share the file system's commits; more threads only wait for each other."""

CHECKPOINT_STEP_COUNT = 400
"""Steps after which a log is carried over into its database: about 10 MB of log for letters of common size."""

MADE_LIMIT_COUNT = 100_000
"""Names of accounts remembered, some 10 MB; beyond, their databases are looked at again."""

Run = Callable[[sqlite3.Connection], Any]
Announce = Callable[[Changed], None]


@dataclass(slots=True, eq=False)
class Job:
    """One call that changes something: letters made durable, steps in accounts' databases, then one in the site's."""

    future: asyncio.Future[Any]
    staged: Sequence[Staged] = ()
    prepare: Callable[[Job], None] | None = None
    """Runs in the writer before the account steps: may add to `accounts`, may raise."""
    accounts: list[tuple[str, Run]] = field(default_factory=list)
    site: Run | None = None
    changed: list[Changed] = field(default_factory=list)
    """What to announce when the job is done."""
    released: list[str] = field(default_factory=list)
    """Files that the job's account no longer refers to."""
    steps: list[Step] = field(default_factory=list)
    """Those of `accounts`, with what came of them; `site` may look at them."""
    result: Any = None
    error: BaseException | None = None
    is_durable: bool = False
    """Its last step is committed: only now may it be answered without an error."""
    is_answered: bool = False

    def refuse(self, error: BaseException) -> None:
        """Keeps the first error; what is durable stays so."""
        if not self.is_durable:
            self.error = self.error or error


class Writer:
    """Runs jobs in batches until it is closed. After a failed sync it refuses everything."""

    def __init__(
        self, files: Files, site: Site, shelf: Shelf, announce: Announce, now_s: Callable[[], int]
    ) -> None:
        self.files = files
        self.site = site
        self.shelf = shelf
        self.announce = announce
        self.now_s = now_s
        self.suspect = ""
        """Why nothing may be promised any more; empty while all is well."""
        self.done_below = 0
        """Recipients with lower ids need no trace of their delivery any more."""
        self.made: set[str] = set()
        """Accounts known to exist."""
        self.long_logs: list[str] = []
        """Accounts whose log is to be carried over."""
        self.waiting: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self.pool = ThreadPoolExecutor(ACCOUNT_THREAD_COUNT, "store-account")
        self.thread = threading.Thread(target=self.run, name="store-writer", daemon=True)
        self.thread.start()

    def submit(self, job: Job) -> None:
        """Hands a job to the thread; its future is set in the event loop."""
        if self.suspect:
            raise StoreUnavailable(self.suspect)
        self.waiting.put(job)

    def close(self) -> None:
        """Ends the thread after everything that waits is done."""
        self.waiting.put(None)
        self.thread.join()
        self.pool.shutdown()

    def run(self) -> None:
        """The thread: one batch after another."""
        closing = False
        while not closing:
            batch = [self.waiting.get()]
            try:
                while True:
                    batch.append(self.waiting.get_nowait())
            except queue.Empty:
                pass
            closing = None in batch
            jobs = [job for job in batch if job is not None]
            if jobs:
                self.run_batch(jobs)

    def run_batch(self, jobs: list[Job]) -> None:
        """Runs a batch; whatever happens, every job is answered, and only durable ones without an error."""
        try:
            self.require_trust()
            if any(job.staged for job in jobs):
                with self.files.turns.batch():
                    self.run_stages(jobs)
            else:
                self.run_stages(jobs)
            self.answer(jobs)
            self.run_releases(jobs)
            self.run_checkpoints()
        except SyncFailed as error:
            self.suspect = self.suspect or str(error)
            self.refuse(jobs, StoreUnavailable(self.suspect))
        except (sqlite3.Error, OSError) as error:
            self.refuse(jobs, refusal("the store cannot be written", error))
        except Exception as error:  # a bug must not leave callers waiting for ever
            self.refuse(jobs, error)

    def require_trust(self) -> None:
        """Raises SyncFailed after a sync failed."""
        if self.suspect:
            raise SyncFailed(self.suspect)

    def run_stages(self, jobs: list[Job]) -> None:
        """The stages of one batch; leaves the later jobs to be answered. Raises SyncFailed."""
        failed = self.files.publish(letter for job in jobs for letter in job.staged)
        for job in jobs:
            for letter in job.staged:
                if letter.sha256 in failed:
                    job.refuse(failed[letter.sha256])
        entering = [job for job in jobs if job.site and not job.accounts]
        self.run_site(entering)
        self.answer(entering)
        rest = [job for job in jobs if job.accounts]
        if rest:
            self.run_accounts(rest)
            self.run_site([job for job in rest if job.site])

    def run_site(self, jobs: Sequence[Job]) -> None:
        """One transaction of the site's database for the jobs that are not refused yet. Raises SyncFailed."""
        steps = [(job, Step(job.site)) for job in jobs if job.error is None and job.site]
        if steps:
            self.site.transact([step for _, step in steps])
        for job, step in steps:
            settle(job, step)

    def run_accounts(self, jobs: Sequence[Job]) -> None:
        """The account steps of the jobs: one transaction for each account, several accounts at once. Raises SyncFailed
        after the jobs of the accounts that did commit are marked as durable."""
        groups: dict[str, list[Step]] = {}
        for job in jobs:
            self.prepare(job)
            if job.error is None:
                for name, run in job.accounts:
                    step = Step(run)
                    job.steps.append(step)
                    groups.setdefault(name, []).append(step)
        failures: list[SyncFailed] = []

        def run_group(name: str) -> None:
            try:
                with self.shelf.using(name) as index:
                    self.run_account(index, groups[name])
            except SyncFailed as error:
                failures.append(error)

        for name, steps in groups.items():
            self.make_account(name, steps)
        if len(groups) == 1:
            run_group(*groups)
        else:
            list(self.pool.map(run_group, groups))
        for job in jobs:
            if job.site is None and job.steps:
                settle(job, job.steps[0])
        if failures:
            raise failures[0]

    def prepare(self, job: Job) -> None:
        """Lets a job do what it needs before its account steps."""
        if job.prepare is None or job.error is not None:
            return
        try:
            job.prepare(job)
        except Exception as error:  # a damaged letter, or a bug: this job's own
            job.refuse(error)

    def run_account(self, index: Index, steps: Sequence[Step]) -> None:
        """One transaction of one account, unless it could not be made. Raises SyncFailed."""
        if steps[0].error is not None:
            return
        try:
            connection = index.writer()
        except (sqlite3.Error, OSError, OperatorError) as error:
            for step in steps:
                step.error = StoreUnavailable(f"the account cannot be opened: {error}")
            return
        try:
            transact(connection, steps)
        finally:
            if any(isinstance(step.error, StoreUnavailable) for step in steps):
                index.drop_writer()
        index.step_count += len(steps)
        if index.step_count >= CHECKPOINT_STEP_COUNT:
            self.long_logs.append(index.name)

    def make_account(self, name: str, steps: Sequence[Step]) -> None:
        """Makes an account's folder, database and usual mailboxes, durably, if it is not there; else fails its steps.

        One after another: the UIDVALIDITY values come from the site's database. Raises SyncFailed.
        """
        if name in self.made:
            return
        try:
            with self.shelf.using(name) as index:
                if not index.is_made():
                    self.fill_account(index)
        except SyncFailed:
            raise
        except (sqlite3.Error, OSError, OperatorError, StoreUnavailable) as error:
            for step in steps:
                step.error = StoreUnavailable(f"the account cannot be opened: {error}")
        else:
            if len(self.made) >= MADE_LIMIT_COUNT:
                self.made.clear()
            self.made.add(name)

    def fill_account(self, index: Index) -> None:
        """Makes an account. A crash leaves a folder with an empty database, or nothing: the next call completes it."""
        take = Step(lambda site: queue_changes.take_uid_validities(site, self.now_s(), len(USUAL_MAILBOXES)))
        self.site.transact([take])
        if take.error is not None:
            raise take.error
        index.path.parent.mkdir(mode=0o700, exist_ok=True)
        sync_folder(self.shelf.root)
        step = Step(lambda account: create_account(account, index.name, take.result))
        transact(index.writer(), [step])
        if step.error is not None:
            index.drop_writer()
            raise step.error
        made_mark(index.path).touch(0o600)
        sync_folder(index.path.parent)

    def run_releases(self, jobs: Sequence[Job]) -> None:
        """Notes the files that nobody may need any more. A crash before this leaves them for `check`."""
        hashes = {sha256 for job in jobs if job.error is None for sha256 in job.released}
        if hashes:
            self.site.transact([Step(lambda site: queue_changes.release(site, hashes))])

    def run_checkpoints(self) -> None:
        """Carries long logs over, when everybody has the answer. Raises SyncFailed."""
        self.site.checkpoint(CHECKPOINT_STEP_COUNT)
        while self.long_logs:
            with self.shelf.using(self.long_logs.pop()) as index:
                index.checkpoint()

    def refuse(self, jobs: Sequence[Job], error: BaseException) -> None:
        """Answers every job that is not durable with an error."""
        for job in jobs:
            if not job.is_answered:
                job.refuse(error)
        self.answer(jobs)

    def answer(self, jobs: Sequence[Job]) -> None:
        """Sets the futures and announces, in the event loop, by one call."""
        loops: dict[asyncio.AbstractEventLoop, list[Job]] = {}
        for job in jobs:
            if not job.is_answered:
                job.is_answered = True
                loops.setdefault(job.future.get_loop(), []).append(job)
        for loop, group in loops.items():
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self.answer_in_loop, group)

    def answer_in_loop(self, jobs: Sequence[Job]) -> None:
        """Wakes the callers and announces each change once; both before any caller runs."""
        for job in jobs:
            if job.future.done():
                continue
            if job.error is not None:
                job.future.set_exception(job.error)
            else:
                job.future.set_result(job.result)
        for changed in dict.fromkeys(changed for job in jobs if job.error is None for changed in job.changed):
            self.announce(changed)


def settle(job: Job, step: Step) -> None:
    """Takes the outcome of a job's last step."""
    if step.error is not None:
        job.refuse(step.error)
    else:
        job.result = step.result
        job.is_durable = True
