"""Compares the store's files and indexes, and mends what is derived: `mailserver store check [--repair]`.

Every file is read and hashed. Repair sets counters right, makes lost digests again, gives files their names back, and
removes files that nobody refers to. It never invents what is lost: a damaged letter or database is named, and the cure
is the backup.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Container, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import OperatorError
from ..values import LetterDamaged, StoreUnavailable
from .account_changes import DELETED, SEEN, keep_digest
from .erase import unfinished
from .release import among_accounts, among_queue, release_files
from .schema import (
    ACCOUNT_STEPS,
    ACCOUNT_VERSION,
    SITE_VERSION,
    connect,
    require_unmade,
    upgrade,
    version_of,
)
from .transaction import Step, transact

if TYPE_CHECKING:
    from .store import EmbeddedStore

YOUNG_S = 3600
"""A file nobody refers to is a finding only after an hour: before, its letter may be just about to be promised."""

MAILBOX_TRUTH = f"""
SELECT b.mailbox_id, b.name, b.uid_next, b.highest_modseq,
  b.message_count, b.unseen_count, b.deleted_count, b.size_bytes,
  count(m.uid), coalesce(sum(m.flags & {SEEN} = 0), 0), coalesce(sum(m.flags & {DELETED} <> 0), 0),
  coalesce(sum(m.size_bytes), 0), coalesce(max(m.uid), 0), coalesce(max(m.modseq), 0)
FROM mailboxes AS b LEFT JOIN messages AS m USING (mailbox_id) GROUP BY b.mailbox_id"""

SET_MAILBOXES = f"""
UPDATE mailboxes AS b SET
  message_count = (SELECT count(*) FROM messages AS m WHERE m.mailbox_id = b.mailbox_id),
  unseen_count = (SELECT count(*) FROM messages AS m WHERE m.mailbox_id = b.mailbox_id AND m.flags & {SEEN} = 0),
  deleted_count = (SELECT count(*) FROM messages AS m WHERE m.mailbox_id = b.mailbox_id AND m.flags & {DELETED}),
  size_bytes = (SELECT coalesce(sum(size_bytes), 0) FROM messages AS m WHERE m.mailbox_id = b.mailbox_id),
  uid_next = max(uid_next, (SELECT coalesce(max(uid), 0) + 1 FROM messages AS m WHERE m.mailbox_id = b.mailbox_id)),
  highest_modseq = max(highest_modseq,
    (SELECT coalesce(max(modseq), 0) FROM messages AS m WHERE m.mailbox_id = b.mailbox_id))"""

SET_LETTERS = (
    "UPDATE letters AS l SET message_count ="
    " (SELECT count(*) FROM messages AS m WHERE m.letter_id = l.letter_id)"
    " + (SELECT count(*) FROM kept AS k WHERE k.letter_id = l.letter_id)"
)
SET_ACCOUNT = (
    "UPDATE account SET message_count = (SELECT count(*) FROM messages),"
    " size_bytes = (SELECT coalesce(sum(size_bytes), 0) FROM messages),"
    " kept_count = (SELECT count(*) FROM kept),"
    " kept_bytes = (SELECT coalesce(sum(size_bytes), 0) FROM kept),"
    " modseq = max(modseq, (SELECT coalesce(max(highest_modseq), 0) FROM mailboxes))"
)


def check_store(store: EmbeddedStore, repair: bool) -> list[str]:
    """The findings, after repair when it is asked for. In a thread, beside a running store."""
    findings: list[str] = []
    wanted: dict[str, int] = {}
    complete = True
    for path, look in [
        (store.site.path, check_site),
        *((path, check_account) for path in store.shelf.list_folders()),
    ]:
        try:
            with snapshot(path) as db:
                findings += [
                    f"{label(store, path)}: {finding}" for finding in look(store, path, db, wanted, repair)
                ]
        except (sqlite3.Error, OperatorError, OSError) as error:
            complete = False
            findings.append(f"{label(store, path)}: cannot be read: {error}")
    findings += check_files(store, wanted, repair, complete)
    findings += [
        f"the erasure of {name} was cut short: `mailserver erase {name} --yes` goes on"
        for name in unfinished(store.root)
    ]
    return findings


def label(store: EmbeddedStore, path: Path) -> str:
    """How a database is called in a finding."""
    return str(path.relative_to(store.root))


@contextlib.contextmanager
def snapshot(path: Path) -> Iterator[sqlite3.Connection]:
    """One committed state of a database."""
    if not path.exists():
        require_unmade(path, "restore it from the backup")
        raise FileNotFoundError("its making was cut short")
    with contextlib.closing(connect(path, writing=False)) as db:
        db.execute("BEGIN")
        yield db


def structure(db: sqlite3.Connection) -> list[str]:
    """What SQLite itself finds."""
    return [text for (text,) in db.execute("PRAGMA integrity_check(20)") if text != "ok"]


def check_site(
    _store: EmbeddedStore, path: Path, site: sqlite3.Connection, wanted: dict[str, int], _repair: bool
) -> Iterator[str]:
    """The queue: every recipient has its letter, every letter something that waits."""
    if not version_of(site, path, SITE_VERSION):
        require_unmade(path, "restore it from the backup")
    yield from structure(site)
    wanted.update(site.execute("SELECT sha256, size_bytes FROM letters").fetchall())
    for (letter_id,) in site.execute(
        "SELECT letter_id FROM letters EXCEPT SELECT letter_id FROM recipients WHERE state = 'waiting'"
    ):
        yield f"letter {letter_id} waits for nobody"
    for (recipient_id,) in site.execute(
        "SELECT recipient_id FROM recipients WHERE letter_id NOT IN (SELECT letter_id FROM letters)"
    ):
        yield f"recipient {recipient_id} has no letter"


def check_account(
    store: EmbeddedStore, path: Path, db: sqlite3.Connection, wanted: dict[str, int], repair: bool
) -> Iterator[str]:
    """An account: counters against messages, letters against messages, digests against letters."""
    version = version_of(db, path, ACCOUNT_VERSION)
    if not version:
        require_unmade(path, "restore it from the backup")
        return  # its making was cut short; the next opening completes it
    if version < ACCOUNT_VERSION:
        db.execute("COMMIT")
        with contextlib.closing(connect(path, writing=True)) as connection:
            upgrade(connection, path, ACCOUNT_VERSION, ACCOUNT_STEPS)
        db.execute("BEGIN")
    damage = structure(db)
    yield from damage
    wanted.update(db.execute("SELECT sha256, size_bytes FROM letters").fetchall())
    faults = list(wrong_counters(db))
    yield from faults
    undigested = db.execute(
        "SELECT letter_id, sha256 FROM letters WHERE letter_id NOT IN (SELECT letter_id FROM digests)"
    ).fetchall()
    if undigested:
        yield f"{len(undigested)} letters have no digest"
    if repair and not damage and (faults or undigested):
        mend_account(store, path, undigested)


def wrong_counters(db: sqlite3.Connection) -> Iterator[str]:
    """Numbers that are kept, against the same numbers counted."""
    for row in db.execute(MAILBOX_TRUTH):
        _, name, uid_next, highest_modseq = row[:4]
        kept, counted, (max_uid, max_modseq) = row[4:8], row[8:12], row[12:]
        if kept != counted:
            yield f"mailbox {name!r}: messages, unseen, deleted, octets are {counted}, its counters say {kept}"
        if max_uid >= uid_next:
            yield f"mailbox {name!r}: UID {max_uid} exists, UIDNEXT says {uid_next}"
        if max_modseq > highest_modseq:
            yield f"mailbox {name!r}: MODSEQ {max_modseq} exists, HIGHESTMODSEQ says {highest_modseq}"
    for (sha256,) in db.execute(
        "SELECT sha256 FROM letters LEFT JOIN (SELECT letter_id, count(*) AS n FROM"
        " (SELECT letter_id FROM messages UNION ALL SELECT letter_id FROM kept) GROUP BY letter_id)"
        " USING (letter_id) WHERE message_count <> coalesce(n, 0)"
    ):
        yield f"letter {sha256}: its count of messages is wrong"
    for mailbox_id, uid in db.execute(
        "SELECT mailbox_id, uid FROM messages WHERE letter_id NOT IN (SELECT letter_id FROM letters)"
        " OR mailbox_id NOT IN (SELECT mailbox_id FROM mailboxes)"
    ):
        yield f"message {uid} of mailbox {mailbox_id} has no letter or no mailbox"
    for (kept_id,) in db.execute(
        "SELECT kept_id FROM kept WHERE letter_id NOT IN (SELECT letter_id FROM letters)"
    ):
        yield f"expunged message {kept_id} has no letter"
    for table, columns, word in (
        ("messages", "message_count, size_bytes", "messages"),
        ("kept", "kept_count, kept_bytes", "expunged messages"),
    ):
        kept = db.execute(f"SELECT {columns} FROM account").fetchone()
        counted = db.execute(f"SELECT count(*), coalesce(sum(size_bytes), 0) FROM {table}").fetchone()
        if kept != counted:
            yield f"the account holds {counted} {word} and octets, its counters say {kept}"


def mend_account(store: EmbeddedStore, path: Path, undigested: list[tuple[int, str]]) -> None:
    """Counts again, and derives again what is derived."""

    def run(db: sqlite3.Connection) -> None:
        for statement in (SET_MAILBOXES, SET_LETTERS, SET_ACCOUNT):
            db.execute(statement)
        for letter_id, sha256 in undigested:
            with contextlib.suppress(LetterDamaged, StoreUnavailable):
                digest = store.derive(store.files.read(sha256))
                if (
                    digest is not None
                    and db.execute("SELECT 1 FROM letters WHERE letter_id = ?", (letter_id,)).fetchone()
                ):
                    keep_digest(db, letter_id, digest)

    step = Step(run)
    with contextlib.closing(connect(path, writing=True)) as connection:
        transact(connection, [step])
    if step.error is not None:
        raise step.error


def check_files(store: EmbeddedStore, wanted: dict[str, int], repair: bool, complete: bool) -> Iterator[str]:
    """Every file that is referred to is there and whole; files that nobody refers to are named when they are old."""
    for sha256, size_bytes in sorted(wanted.items()):
        fault = file_fault(store, sha256, size_bytes)
        if fault and still_wanted(store, sha256):
            yield f"letter {sha256}: {fault}"
    if complete:  # else their owner may be the database that cannot be read
        orphans = list_orphans(store, wanted)
        if orphans:
            yield f"{len(orphans)} files belong to nobody (harmless; --repair removes them)"
        if repair:
            release_files(store, orphans)


def list_orphans(store: EmbeddedStore, wanted: Container[str]) -> list[str]:
    """Files that nobody refers to, that `release.py` has no note of, and that are not young."""
    old_before_s = store.clock() - YOUNG_S
    with store.site.reading() as site:
        noted = {sha256 for (sha256,) in site.execute("SELECT sha256 FROM released")}
    return [
        sha256
        for sha256, state in store.files.list_letters()
        if sha256 not in wanted and sha256 not in noted and state.st_ctime < old_before_s
    ]


def file_fault(store: EmbeddedStore, sha256: str, size_bytes: int) -> str:
    """What is wrong with a file; empty when it is whole."""
    try:
        data = store.files.read_unchecked(sha256)
    except (LetterDamaged, StoreUnavailable) as error:
        return str(error)
    if len(data) != size_bytes:
        return f"the file has {len(data)} octets, the index says {size_bytes}"
    if hashlib.sha256(data).hexdigest() != sha256:
        return "the file's octets are not those it is named after"
    return ""


def still_wanted(store: EmbeddedStore, sha256: str) -> bool:
    """Whether anything refers to a hash now: it may have gone while the check ran."""
    return bool(among_queue(store, {sha256}) or among_accounts(store, {sha256}))
