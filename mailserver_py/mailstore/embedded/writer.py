"""The one thread of a process that changes the store: it takes all that waits, writes it, syncs once, then answers.

A batch goes: letters' files, synced together → one transaction of the site's database for what enters the queue, whose
callers are answered → one transaction for each account → one more of the site's database for deliveries that are done.
Answers go to the event loop in one call for each of these stages, not one for each letter.

Jobs of one account run in the order they came; a job of the site's database may overtake one of an account.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ..names import USUAL_MAILBOXES
from ..values import Changed, Staged, StoreUnavailable
from . import queue_changes
from .files import Files
from .index import Index, Shelf
from .mailbox_changes import create_account
from .site import Site
from .transaction import Step, SyncFailed, checkpoint, sync_folder, transact

ACCOUNT_THREAD_COUNT = 4
"""Accounts that commit together share the file system's commits; more threads only wait for each other."""

CHECKPOINT_STEP_COUNT = 400
"""Steps after which a log is carried over into its database: about 10 MB of log for letters of common size."""

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

    def refuse(self, error: BaseException) -> None:
        """Keeps the first error."""
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
        """Runs a batch; whatever happens, every job is answered."""
        if self.suspect:
            self.answer([refused(job, StoreUnavailable(self.suspect)) for job in jobs])
            return
        try:
            if any(job.staged for job in jobs):
                with self.files.turns.batch():
                    self.run_stages(jobs)
            else:
                self.run_stages(jobs)
        except SyncFailed as error:
            self.suspect = self.suspect or str(error)
            self.answer([refused(job, StoreUnavailable(self.suspect)) for job in jobs])
        except Exception as error:  # a bug must not leave callers waiting for ever
            self.answer([refused(job, error) for job in jobs])

    def run_stages(self, jobs: list[Job]) -> None:
        """The stages of one batch. Raises SyncFailed."""
        failed = self.files.publish(letter for job in jobs for letter in job.staged)
        for job in jobs:
            for letter in job.staged:
                if letter.sha256 in failed:
                    job.refuse(failed[letter.sha256])
        entering = [job for job in jobs if job.site and not job.accounts and not job.prepare]
        if entering:
            self.run_site(entering)
            self.answer(entering)
        rest = [job for job in jobs if job.accounts or job.prepare]
        if not rest:
            self.site.checkpoint(CHECKPOINT_STEP_COUNT)
            return
        self.run_accounts(rest)
        finishing = [job for job in rest if job.site]
        if finishing:
            self.run_site(finishing)
        self.answer(rest)
        self.run_releases(rest)
        self.site.checkpoint(CHECKPOINT_STEP_COUNT)

    def run_site(self, jobs: Sequence[Job]) -> None:
        """One transaction of the site's database for the jobs that are not refused yet."""
        steps = [(job, Step(job.site)) for job in jobs if job.error is None and job.site]
        if not steps:
            return
        self.site.transact([step for _, step in steps])
        for job, step in steps:
            job.result = step.result
            if step.error is not None:
                job.refuse(step.error)

    def run_accounts(self, jobs: Sequence[Job]) -> None:
        """The account steps of the jobs: one transaction for each account, several accounts at once."""
        groups: dict[str, list[Step]] = {}
        for job in jobs:
            try:
                if job.prepare is not None and job.error is None:
                    job.prepare(job)
            except SyncFailed:
                raise
            except Exception as error:  # a damaged letter, or a bug: this job's own
                job.refuse(error)
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

        if len(groups) == 1:
            run_group(*groups)
        elif groups:
            self.make_accounts(groups)
            list(self.pool.map(run_group, groups))
        if failures:
            raise failures[0]
        for job in jobs:
            if job.site is None and job.steps:
                step = job.steps[0]
                job.result = step.result
                if step.error is not None:
                    job.refuse(step.error)

    def run_account(self, index: Index, steps: Sequence[Step]) -> None:
        """One transaction of one account. Raises SyncFailed."""
        try:
            self.make_account(index)
            connection = index.writer()
        except SyncFailed:
            raise
        except Exception as error:  # damage of any kind: the account waits for a person
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
            index.step_count = 0
            checkpoint(connection)

    def make_accounts(self, names: Sequence[str] | dict[str, list[Step]]) -> None:
        """Makes missing accounts one after another: their UIDVALIDITY values come from the site's database."""
        for name in names:
            if not self.shelf.path(name).exists():
                with self.shelf.using(name) as index:
                    self.make_account(index)

    def make_account(self, index: Index) -> None:
        """Makes an account's folder, database and usual mailboxes, durably, if it is not there."""
        if index.writing is not None:
            return
        if index.path.exists():
            connection = index.writer()
            if connection.execute("PRAGMA user_version").fetchone()[0]:
                return
        take = Step(lambda site: queue_changes.take_uid_validities(site, self.now_s(), len(USUAL_MAILBOXES)))
        self.site.transact([take])
        if take.error is not None:
            raise take.error
        index.path.parent.mkdir(mode=0o700, exist_ok=True)
        sync_folder(self.shelf.root)
        step = Step(lambda account: create_account(account, index.name, take.result))
        transact(index.writer(), [step])
        sync_folder(index.path.parent)
        if step.error is not None:
            index.drop_writer()
            raise step.error

    def run_releases(self, jobs: Sequence[Job]) -> None:
        """Notes the files that nobody may need any more. A crash before this leaves them for `check`."""
        hashes = {sha256 for job in jobs if job.error is None for sha256 in job.released}
        if hashes:
            self.site.transact([Step(lambda site: queue_changes.release(site, hashes))])

    def answer(self, jobs: Sequence[Job]) -> None:
        """Sets the futures and announces, in the event loop, by one call."""
        loops: dict[asyncio.AbstractEventLoop, list[Job]] = {}
        for job in jobs:
            loops.setdefault(job.future.get_loop(), []).append(job)
        for loop, group in loops.items():
            try:
                loop.call_soon_threadsafe(self.answer_in_loop, group)
            except RuntimeError:
                continue  # the loop is closed: nobody waits any more

    def answer_in_loop(self, jobs: Sequence[Job]) -> None:
        """Announces each change once, then wakes the callers."""
        for changed in dict.fromkeys(changed for job in jobs if job.error is None for changed in job.changed):
            self.announce(changed)
        for job in jobs:
            if job.future.done():
                continue
            if job.error is not None:
                job.future.set_exception(job.error)
            else:
                job.future.set_result(job.result)


def refused(job: Job, error: BaseException) -> Job:
    """The job with an error, unless it has one."""
    job.refuse(error)
    return job
