"""Erases an account: its database with log and shared memory, its letters' files, its rows in the queue.

A plan with the hashes of all its letters is written first (`erasing/NAME.json`), so that a run that was cut short goes
on and still knows what it erased. Then, each step repeatable:

1. the database is taken out of WAL mode, which SQLite does only for the one process that has it open;
2. the queue: letters that the account sent are dropped; recipients that lead to it become outside ones, so that the
   ordinary queue finds nobody there and their senders get a bounce; every letter of the plan is noted as released;
3. the folder goes aside by one rename, and is removed;
4. the files that nobody else refers to are released (`release.py`), and looked for: none may be left;
5. the site's database is written anew, so that its free pages do not remember.

The disk itself may: erasing blocks of a drive that moves them about is the file system's or the drive's matter.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..keeping import Erasure
from ..values import AccountHeld, NoSuchAccount, StoreUnavailable
from .release import among_accounts, among_queue, release_files
from .schema import ACCOUNT_STEPS, ACCOUNT_VERSION, connect, patiently, upgrade
from .transaction import Step, checkpoint, sync_folder, transact

if TYPE_CHECKING:
    from .store import EmbeddedStore

ERASING = "erasing"
"""Folder in the store: plans, and accounts' folders on their way out."""

SOLE_LIMIT_S = 3.0
"""How long to wait until nobody else has the database open: the releaser and `check` do for moments; a process that
serves the account does for hours, and must end first."""

TRIES_COUNT = 20
TRY_AGAIN_S = 0.25
"""Rounds of releasing: another releaser, or a batch that takes long, may be in the way for a moment."""

Attest = Callable[[Erasure], None]


@dataclass(slots=True)
class Plan:
    """What is to go; kept in a file until all is gone."""

    name: str
    letters: dict[str, int] = field(default_factory=dict)
    """Hash → octets."""
    mailbox_count: int = 0
    message_count: int = 0
    expunged_count: int = 0
    dropped_count: int = 0
    returned_count: int = 0


def erase_account(store: EmbeddedStore, name: str, attest: Attest) -> None:
    """The whole erasure, in a thread; `attest` is called before the plan is forgotten. Raises NoSuchAccount,
    AccountHeld, StoreUnavailable, and the engine's errors."""
    folder = store.shelf.path(name).parent
    erasing = store.root / ERASING
    erasing.mkdir(mode=0o700, exist_ok=True)
    sync_folder(store.root)
    place, aside = erasing / f"{folder.name}.json", erasing / folder.name
    plan = load_plan(place)
    if (folder / "index.db").exists():
        store.shelf.drop(name)
        with sole(folder / "index.db") as db:
            plan = read_plan(db, name, plan)
            count_queued(store, plan)
            write_plan(place, plan)
            clear_queue(store, plan)
            os.rename(folder, aside)
            sync_folder(erasing)
            sync_folder(store.shelf.root)
    elif plan is None:
        raise NoSuchAccount(name)
    else:
        # The folder went; a letter may have come into the queue since.
        clear_queue(store, plan)
    shutil.rmtree(aside, ignore_errors=True)
    if aside.exists() or folder.exists():
        raise StoreUnavailable(f"{aside if aside.exists() else folder} cannot be removed")
    sync_folder(erasing)
    shared = release_letters(store, set(plan.letters))
    rewrite_site(store)
    attest(
        Erasure(
            plan.mailbox_count,
            plan.message_count,
            plan.expunged_count,
            len(plan.letters),
            sum(plan.letters.values()),
            len(plan.letters) - len(shared),
            len(shared),
            plan.dropped_count,
            plan.returned_count,
        )
    )
    place.unlink()
    sync_folder(erasing)


@contextlib.contextmanager
def sole(path: Path) -> Iterator[sqlite3.Connection]:
    """The database, which nobody else has open. Raises StoreUnavailable when somebody has."""
    with contextlib.closing(connect(path, writing=True)) as db:
        upgrade(db, path, ACCOUNT_VERSION, ACCOUNT_STEPS)
        deadline_s = time.monotonic() + SOLE_LIMIT_S
        while True:
            try:
                (mode,) = db.execute("PRAGMA journal_mode = DELETE").fetchone()
                if mode == "delete":
                    db.execute("BEGIN EXCLUSIVE")
                    break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
            if time.monotonic() > deadline_s:
                raise StoreUnavailable("another process has the account open")
            time.sleep(0.01)
        yield db


def read_plan(db: sqlite3.Connection, name: str, known: Plan | None) -> Plan:
    """What the account's database says. Raises AccountHeld."""
    message_count, kept_count, is_held = db.execute(
        "SELECT message_count, kept_count, is_held FROM account"
    ).fetchone()
    if is_held:
        raise AccountHeld(f"{name} is under legal hold")
    (mailbox_count,) = db.execute("SELECT count(*) FROM mailboxes").fetchone()
    letters: dict[str, int] = dict(db.execute("SELECT sha256, size_bytes FROM letters").fetchall())
    plan = Plan(name, letters, mailbox_count, message_count, kept_count)
    if known is not None:
        plan.dropped_count, plan.returned_count = known.dropped_count, known.returned_count
    return plan


def load_plan(place: Path) -> Plan | None:
    """The plan of a run that was cut short; None when there was none, or it was cut short in writing it."""
    try:
        values: dict[str, Any] = json.loads(place.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return Plan(**values)


def write_plan(place: Path, plan: Plan) -> None:
    """Durably, whole or not at all."""
    new = place.with_suffix(".new")
    values = {name: getattr(plan, name) for name in Plan.__slots__}
    with new.open("w", encoding="utf-8") as file:
        json.dump(values, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(place)
    sync_folder(place.parent)


def count_queued(store: EmbeddedStore, plan: Plan) -> None:
    """Counts what the queue has of the account; numbers of a run that already cleared it stay."""
    with store.site.reading() as site:
        (dropped_count,) = site.execute(
            "SELECT count(*) FROM letters WHERE account = ?", (plan.name,)
        ).fetchone()
        (returned_count,) = site.execute(
            "SELECT count(*) FROM recipients WHERE account = ? AND state = 'waiting'"
            " AND letter_id NOT IN (SELECT letter_id FROM letters WHERE account = ?)",
            (plan.name, plan.name),
        ).fetchone()
    plan.dropped_count = dropped_count or plan.dropped_count
    plan.returned_count = returned_count or plan.returned_count


def clear_queue(store: EmbeddedStore, plan: Plan) -> None:
    """Takes the account out of the queue, and notes its letters. Raises StoreUnavailable while one of them is being
    delivered: a delivery that is under way would make the account again."""
    now_s = int(store.clock())
    mine = "letter_id IN (SELECT letter_id FROM letters WHERE account = ?1)"

    def run(site: sqlite3.Connection) -> None:
        (busy_count,) = site.execute(
            f"SELECT count(*) FROM recipients WHERE (account = ?1 OR {mine}) AND state = 'waiting'"
            " AND lease_owner <> '' AND due_at_s > ?2",
            (plan.name, now_s),
        ).fetchone()
        if busy_count:
            raise StoreUnavailable(f"{busy_count} deliveries of the account are under way")
        site.execute(
            "INSERT INTO released (sha256) SELECT sha256 FROM letters WHERE account = ?", (plan.name,)
        )
        site.execute(f"DELETE FROM recipients WHERE {mine}", (plan.name,))
        site.execute("DELETE FROM letters WHERE account = ?", (plan.name,))
        site.execute(
            "UPDATE recipients SET account = '', mailbox = '', lease_owner = '', due_at_s = ?2,"
            " next_attempt_at_s = ?2 WHERE account = ?1 AND state = 'waiting'",
            (plan.name, now_s),
        )
        # Settled ones stay until their letter has gone; without an account it is then the queue that lets it go.
        site.execute(
            "UPDATE recipients SET account = '', mailbox = '', forward_path = '', original = '' WHERE account = ?",
            (plan.name,),
        )
        site.executemany("INSERT INTO released (sha256) VALUES (?)", [(sha256,) for sha256 in plan.letters])

    step = Step(run)
    with contextlib.closing(connect(store.site.path, writing=True)) as connection:
        transact(connection, [step])
    if step.error is not None:
        raise step.error


def release_letters(store: EmbeddedStore, hashes: set[str]) -> set[str]:
    """Removes the files of letters that nobody refers to any more; those that somebody else has. Raises
    StoreUnavailable when one is left."""
    left = hashes
    for _ in range(TRIES_COUNT):
        release_files(store, left)
        left = {sha256 for sha256 in hashes if is_there(store, sha256)}
        held = among_queue(store, left) | among_accounts(store, left)
        if left <= held:
            return left
        left -= held
        time.sleep(TRY_AGAIN_S)
    raise StoreUnavailable(f"{len(left)} letters' files are still in use")


def is_there(store: EmbeddedStore, sha256: str) -> bool:
    """Whether a letter has its file, or one on its way out."""
    return os.path.exists(store.files.place(sha256)) or os.path.exists(store.files.released / sha256)


def rewrite_site(store: EmbeddedStore) -> None:
    """Writes the site's database without its free pages, and its log from the start."""
    with contextlib.closing(connect(store.site.path, writing=True)) as connection:
        patiently(lambda: connection.execute("VACUUM"))
        checkpoint(connection, "TRUNCATE")


def unfinished(root: Path) -> list[str]:
    """Names of accounts whose erasure was cut short."""
    plans = (load_plan(place) for place in sorted((root / ERASING).glob("*.json")))
    return [plan.name for plan in plans if plan is not None]
