"""The message files: immutable, one for each letter, named by SHA-256, shared by every account and the queue.

`root/blobs/ab/cdef…` is the letter; `root/waiting/ID/` are one process's unfinished ones; `root/released/` are files on
their way out (see `release.py`). Publishing is: write, sync the file, rename, sync the folder; only then may an index
name it. An existing file of the same name is replaced by the equal one that was just synced: nothing is trusted, and a
damaged file is healed by the next letter that is the same.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..values import LetterDamaged, Staged, StoreFull, StoreUnavailable
from .refusals import refusal
from .transaction import SyncFailed, sync_folder

SYNC_THREAD_COUNT = 8
"""Syncs in flight together share the file system's commits: 20 files take 7.1 ms one by one, 3.5 ms with eight."""

RESERVE_BYTES = 16 * 1024 * 1024
"""New letters leave so much of the disk free: the logs need it, so that on a full disk people can still read, flag and
expunge, which is how it gets room again."""

RELEASE_LOCK = "release.lock"
"""Made with the store: on a disk without inodes it would be too late."""

FOLDERS = tuple(f"{number:02x}" for number in range(256))
"""Made when the store is made, so that no letter has to sync the folder above its own."""


class Files:
    """The message files of a store, and this process's own corner for unfinished ones."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs = root / "blobs"
        self.released = root / "released"
        self.waiting = root / "waiting"
        self.make_folders()
        self.own = self.waiting / secrets.token_hex(8)
        self.own.mkdir(mode=0o700)
        self.own_lock = os.open(self.own / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self.own_lock, fcntl.LOCK_EX)
        self.turns = Turns(root)
        os.close(os.open(root / RELEASE_LOCK, os.O_CREAT | os.O_RDWR, 0o600))
        self.pool = ThreadPoolExecutor(SYNC_THREAD_COUNT, "store-sync")
        self.count = 0

    def make_folders(self) -> None:
        """Makes what is missing, durably. Raises OSError, SyncFailed."""
        for folder in (self.root, self.blobs, self.released, self.waiting):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        existing = set(os.listdir(self.blobs))
        for name in FOLDERS:
            if name not in existing:
                (self.blobs / name).mkdir(mode=0o700, exist_ok=True)
        for folder in (self.blobs, self.root, self.root.parent):
            sync_folder(folder)

    def place(self, sha256: str) -> str:
        """Where a letter's file lies."""
        return f"{self.blobs}/{sha256[:2]}/{sha256[2:]}"

    def new_path(self) -> str:
        """A fresh name in this process's own corner."""
        self.count += 1
        return f"{self.own}/{self.count}"

    def publish(self, letters: Iterable[Staged]) -> dict[str, Exception]:
        """Makes the letters durable under their names; the hashes of those that could not be, with the reason.

        A full disk refuses single letters. Raises SyncFailed, after which nothing may be promised.
        """
        failed: dict[str, Exception] = {}
        paths: dict[str, str] = {}
        room_bytes: int | None = None
        for letter in letters:
            if letter.sha256 in paths:
                continue
            if room_bytes is None:
                room_bytes = self.free_bytes() - RESERVE_BYTES
            room_bytes -= letter.size_bytes
            if room_bytes < 0:
                failed[letter.sha256] = StoreFull("the disk is full")
                continue
            try:
                paths[letter.sha256] = self.write(letter)
            except OSError as error:
                failed[letter.sha256] = refusal("cannot write the letter", error)
        self.in_parallel(sync_file, paths.values())
        touched = set()
        for sha256, path in paths.items():
            place = self.place(sha256)
            try:
                self.rename(path, place)
                touched.add(os.path.dirname(place))
            except OSError as error:
                failed[sha256] = refusal("cannot name the letter", error)
        self.in_parallel(sync_folder, touched)
        return failed

    def write(self, letter: Staged) -> str:
        """The path of a file with the letter's octets, not yet synced."""
        if letter.data is None:
            return letter.path
        path = self.new_path()
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            write_all(handle, letter.data)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(path)
            raise
        finally:
            os.close(handle)
        return path

    def rename(self, path: str, place: str) -> None:
        """Gives the file its name. A staged file that an earlier promise named stays as it is. Raises OSError."""
        try:
            os.rename(path, place)
        except FileNotFoundError:
            if not os.path.exists(place):
                raise

    def in_parallel(self, sync: Callable[[str], None], paths: Iterable[str]) -> None:
        """Syncs each path, together when there are several. Raises the first failure after all have ended."""
        todo = list(paths)
        if len(todo) <= 2:
            for path in todo:
                sync(path)
            return
        share_count = min(SYNC_THREAD_COUNT, len(todo))
        shares = [todo[start::share_count] for start in range(share_count)]
        jobs = [self.pool.submit(sync_each, sync, share) for share in shares]
        errors = [job.exception() for job in jobs]
        for error in errors:
            if error is not None:
                raise error

    def read(self, sha256: str) -> bytes:
        """The letter, its hash checked. Raises LetterDamaged; StoreUnavailable when the disk fails."""
        data = self.read_unchecked(sha256)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise LetterDamaged(f"the file of letter {sha256} has other octets than its name says")
        return data

    def read_unchecked(self, sha256: str) -> bytes:
        """The file's octets, also while `release.py` holds it aside."""
        for path in (self.place(sha256), f"{self.released}/{sha256}", self.place(sha256)):
            try:
                handle = os.open(path, os.O_RDONLY)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise StoreUnavailable(f"cannot open letter {sha256}: {error.strerror}") from error
            try:
                return read_all(handle)
            except OSError as error:
                raise LetterDamaged(f"cannot read letter {sha256}: {error.strerror}") from error
            finally:
                os.close(handle)
        raise LetterDamaged(f"the file of letter {sha256} is missing")

    def list_letters(self) -> Iterator[tuple[str, os.stat_result]]:
        """Every file under its hash."""
        for folder in FOLDERS:
            with os.scandir(self.blobs / folder) as entries:
                for entry in entries:
                    yield folder + entry.name, entry.stat(follow_symlinks=False)

    def sweep(self) -> int:
        """Removes the corners of processes that are gone; how many. A living one holds its lock."""
        swept_count = 0
        for name in os.listdir(self.waiting):
            folder = self.waiting / name
            try:
                handle = os.open(folder / "lock", os.O_RDWR)
            except OSError:
                continue
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            else:
                shutil.rmtree(folder, ignore_errors=True)
                swept_count += 1
            finally:
                os.close(handle)
        return swept_count

    def free_bytes(self) -> int:
        """What an unprivileged process may still write."""
        state = os.statvfs(self.root)
        return state.f_bavail * state.f_frsize

    def close(self) -> None:
        """Gives up this process's corner."""
        self.pool.shutdown()
        shutil.rmtree(self.own, ignore_errors=True)
        os.close(self.own_lock)
        self.turns.close()


class Turns:
    """Lets the one who releases files know that every batch begun before a moment has ended, across processes.

    Two locks, because readers of one lock could overlap for ever: a batch passes `gate` and keeps `inside`; whoever
    holds `gate` alone keeps new batches out until `inside` has been free once.
    """

    def __init__(self, root: Path) -> None:
        self.gate, self.inside = (
            os.open(root / name, os.O_CREAT | os.O_RDWR, 0o600) for name in ("gate.lock", "inside.lock")
        )
        self.root = root

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        """Held from the moment files get their names until an index refers to them."""
        fcntl.flock(self.gate, fcntl.LOCK_SH)
        fcntl.flock(self.inside, fcntl.LOCK_SH)
        fcntl.flock(self.gate, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(self.inside, fcntl.LOCK_UN)

    def close(self) -> None:
        """Gives up the locks."""
        os.close(self.gate)
        os.close(self.inside)


def sync_each(sync: Callable[[str], None], paths: Sequence[str]) -> None:
    """Syncs one thread's share."""
    for path in paths:
        sync(path)


def sync_file(path: str) -> None:
    """Makes a file's octets durable. Raises SyncFailed."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return  # a staged file that an earlier promise named, and synced
    except OSError as error:
        raise SyncFailed(f"cannot open {path}: {error.strerror}") from error
    try:
        os.fsync(handle)
    except OSError as error:
        raise SyncFailed(f"cannot sync {path}: {error.strerror}") from error
    finally:
        os.close(handle)


def write_all(handle: int, data: bytes) -> None:
    """Writes every octet; the kernel may take fewer at a time. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def read_all(handle: int) -> bytes:
    """The whole file."""
    size_bytes = os.fstat(handle).st_size
    data = os.read(handle, size_bytes + 1)
    if len(data) == size_bytes:
        return data
    chunks = [data]
    while chunk := os.read(handle, 1 << 20):
        chunks.append(chunk)
    return b"".join(chunks)
