"""Lets go of message files that nobody refers to, without ever racing with a delivery that uses the same letter again.

References live in the accounts' `letters` and in the queue's; no count is kept across databases, so none can be wrong.
A name in `released` only says that it is worth looking. For each such file:

1. it is renamed into `released/`; readers look there too, so nobody misses it; a delivery of an equal letter from now
   on writes its own file;
2. every batch that began before is waited for (`files.Turns`): it may have published this very file before step 1;
3. the queue is asked, then every account; in this order, for a letter goes from the queue to the accounts, and an
   account's commit comes before the queue's;
4. a file somebody refers to gets its name back; the others are removed.

A crash leaves files in `released/`; the next run asks about them again. The cost is one look into every account's
database for each run, whatever the number of files.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .files import RELEASE_LOCK
from .schema import ACCOUNT_VERSION, connect, made_mark, require_unmade, version_of
from .transaction import Step, sync_folder, transact

if TYPE_CHECKING:
    from .store import EmbeddedStore

TURN_LIMIT_S = 0.2
"""How long new batches may be held up while the old ones end. A batch takes milliseconds; if one takes longer, the
files wait for the next run."""

BATCH_LIMIT_COUNT = 10_000
"""Files asked about in one run."""


def release_files(store: EmbeddedStore, orphans: Iterable[str] = ()) -> int:
    """Removes the files that nobody refers to among those noted and `orphans`; how many went."""
    with alone(store) as is_alone:
        if not is_alone:
            return 0
        store.files.sweep()
        with store.site.reading() as site:
            notes = site.execute(
                "SELECT note_id, sha256 FROM released ORDER BY note_id LIMIT ?", (BATCH_LIMIT_COUNT,)
            ).fetchall()
        for sha256 in {*(sha256 for _, sha256 in notes), *orphans}:
            with contextlib.suppress(FileNotFoundError):
                os.rename(store.files.place(sha256), store.files.released / sha256)
        aside = set(os.listdir(store.files.released))
        if not wait_for_batches(store):
            return 0
        queued = among_queue(store, aside)
        held = among_accounts(store, aside - queued)
        give_names_back(store, queued | held)
        gone = aside - queued - held
        for sha256 in gone:
            os.unlink(store.files.released / sha256)
        forget(store, [note_id for note_id, sha256 in notes if sha256 not in queued])
        return len(gone)


@contextlib.contextmanager
def alone(store: EmbeddedStore) -> Iterator[bool]:
    """One releaser in the whole site; False when there is another."""
    handle = os.open(store.root / RELEASE_LOCK, os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(handle)


def wait_for_batches(store: EmbeddedStore) -> bool:
    """Returns True when every batch that had begun has ended. False when that takes too long."""
    gate, inside = (os.open(store.root / name, os.O_RDWR) for name in ("gate.lock", "inside.lock"))
    try:
        fcntl.flock(gate, fcntl.LOCK_EX)
        deadline_s = time.monotonic() + TURN_LIMIT_S
        while True:
            try:
                fcntl.flock(inside, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline_s:
                    return False
                time.sleep(0.001)
            else:
                return True
    finally:
        os.close(inside)
        os.close(gate)


def among_queue(store: EmbeddedStore, hashes: set[str]) -> set[str]:
    """Those that a queued letter refers to."""
    with store.site.reading() as site:
        return {sha256 for (sha256,) in site.execute("SELECT sha256 FROM letters") if sha256 in hashes}


def among_accounts(store: EmbeddedStore, hashes: set[str]) -> set[str]:
    """Those that any account refers to. Raises sqlite3.Error when one cannot be asked: then nothing may go."""
    held: set[str] = set()
    for path in store.shelf.list_folders() if hashes else ():
        if path.exists() or made_mark(path).exists():
            held |= among_account(path, hashes)
    return held


def among_account(path: Path, hashes: set[str]) -> set[str]:
    """Those that one account refers to."""
    connection = connect(path, writing=False)
    try:
        if not version_of(connection, path, ACCOUNT_VERSION):
            require_unmade(path, "restore it from the backup")
            return set()  # its making was cut short: it holds nothing
        rows = connection.execute(
            "SELECT sha256 FROM letters WHERE sha256 IN (SELECT value FROM json_each(?))",
            (json.dumps(sorted(hashes)),),
        )
        return {sha256 for (sha256,) in rows}
    finally:
        connection.close()


def give_names_back(store: EmbeddedStore, hashes: Iterable[str]) -> None:
    """Puts files back where they were, durably."""
    folders = set()
    for sha256 in hashes:
        place = store.files.place(sha256)
        os.rename(store.files.released / sha256, place)
        folders.add(os.path.dirname(place))
    for folder in folders:
        sync_folder(folder)


def forget(store: EmbeddedStore, note_ids: Iterable[int]) -> None:
    """Takes notes off the list. A file noted again meanwhile has another note, and is looked at again."""
    todo = [(note_id,) for note_id in note_ids]
    if not todo:
        return
    step = Step(lambda site: site.executemany("DELETE FROM released WHERE note_id = ?", todo))
    with contextlib.closing(connect(store.site.path, writing=True)) as connection:
        transact(connection, [step])
