"""What the campaigns do to a store, and how they look at it afterwards.

`write_letters` is a sender: it accepts letters and delivers them. `write_boxes` is a reader with a mail client: it
appends, flags, moves and expunges in an account of its own. Both write each intention and each answer into a ledger.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mailserver_py.errors import OperatorError
from mailserver_py.mailstore.embedded import EmbeddedStore
from mailserver_py.mailstore.values import (
    Flag,
    FlagChange,
    LetterDamaged,
    NewLetter,
    NewMessage,
    NewRecipient,
    Staged,
    StoreUnavailable,
)

from .ledger import Answer, Boxes, Entry, Ledger, Verdict, evaluate, load_entries, load_notes

SHARED = "shared@lab.test"
LATER_S = 10**6
"""Far enough ahead that every lease of a dead process has ended."""

NOW_S = 1_700_000_000
"""Before the files' own dates: to the store's check no file is old."""


def is_cut(marker: Path) -> bool:
    """Whether the power is being cut: whatever is answered from now on is no answer, for a real client would see none.

    Not only refusals: a sync that is under way while the file system is shut down may return as if it had succeeded
    (its transaction is neither running nor committing any more). On a machine without power nothing returns.
    """
    return marker.exists()


def octets(identity: str, size_bytes: int = 2000) -> bytes:
    """A letter that names itself and is like no other."""
    return b"Ledger-Id: %s\r\n\r\n%s\r\n" % (identity.encode(), os.urandom(size_bytes // 2).hex().encode())


def account_of(identity: str) -> str:
    """A sender's own account: `sender0.LIFE-NUMBER` → `sender0@lab.test`."""
    return f"{identity.partition('.')[0]}@lab.test"


async def stage(store: EmbeddedStore, letter: bytes) -> Staged:
    """A complete letter."""
    staging = store.stage()
    await staging.write(letter)
    return await staging.finish()


async def write_letters(
    store: EmbeddedStore,
    ledger: Ledger,
    name: str,
    count: int,
    marker: Path,
    *,
    stop_when_refused: bool = True,
) -> None:
    """Accepts and delivers letters, each to an account of the sender's own and to one shared by all."""
    for number in range(count):
        identity = f"{name}-{number}"
        letter = octets(identity, random.choice((500, 2000, 20_000)) if number % 17 else 400_000)
        sha256 = hashlib.sha256(letter).hexdigest()
        own = account_of(name)
        recipients = [NewRecipient(own, own), NewRecipient(SHARED, SHARED, "Archive")]
        ledger.sending(identity, sha256)
        try:
            staged = await stage(store, letter)
            queued = await store.queue.accept(
                NewLetter(identity, "a@b", staged, recipients, NOW_S), f"w{os.getpid()}", 60
            )
        except StoreUnavailable:
            if is_cut(marker):
                return
            ledger.answered(identity, Answer.REFUSED)
            continue
        if is_cut(marker):
            return
        ledger.answered(identity, Answer.PROMISED)
        with contextlib.suppress(StoreUnavailable):
            await store.queue.deliver_local(queued, NOW_S)


async def write_boxes(store: EmbeddedStore, ledger: Ledger, name: str, count: int, marker: Path) -> None:
    """Changes an account's messages; the ledger can be replayed to what must be there."""
    account = await store.account(f"{name}@lab.test")
    ids = {mailbox.name: mailbox.mailbox_id for mailbox in await account.list_mailboxes()}
    for number in range(count):
        source = random.choice(("INBOX", "Trash"))
        messages = await account.messages(ids[source])
        uids = sorted(random.sample([m.uid for m in messages], min(len(messages), random.randint(1, 3))))
        op = random.choice(("append", "append", "flags", "move", "expunge")) if uids else "append"
        note: dict[str, Any] = {
            "account": account.name,
            "op": op,
            "mailbox": source,
            "uids": uids,
            "number": number,
        }
        if op == "append":
            letters = [octets(f"{name}-{number}-{n}", 300) for n in range(random.randint(1, 3))]
            note["hashes"] = [hashlib.sha256(letter).hexdigest() for letter in letters]
            call = append(store, account, source, letters)
        elif op == "flags":
            note["flags"] = int(random.choice((Flag.SEEN, Flag.FLAGGED)))
            call = account.store_flags(ids[source], uids, FlagChange.ADD, note["flags"])
        elif op == "move":
            note["target"] = "Trash" if source == "INBOX" else "INBOX"
            call = account.move(ids[source], uids, note["target"])
        else:
            call = account.remove(ids[source], uids)
        ledger.note("intended", **note)
        try:
            answer = await call
        except StoreUnavailable:
            if is_cut(marker):
                return
            ledger.note("refused", **note)
            continue
        if is_cut(marker):
            return
        if op == "append":
            note["uids"] = list(answer.uids)
        elif op == "move":
            note["new_uids"] = list(answer.uids)
        ledger.note("done", **note)


async def append(store: EmbeddedStore, account: Any, mailbox: str, letters: list[bytes]) -> Any:
    """APPEND of several letters."""
    return await account.append(
        mailbox, [NewMessage(await stage(store, letter), NOW_S) for letter in letters]
    )


async def audit(root: Path, ledgers: Path) -> tuple[Verdict, list[str]]:
    """Opens the store as after a restart, delivers what is left in the queue, and compares; the verdict on letters, and
    every other finding: of the store's own check, of mailboxes that are not as promised."""
    try:
        store = EmbeddedStore.open(root, clock=lambda: NOW_S)
    except OperatorError as error:
        return Verdict(0), [str(error)]
    try:
        findings = [f"before recovery: {finding}" for finding in await store.check()]
        while letters := await store.queue.lease("auditor", NOW_S + LATER_S, 1, 1000):
            for letter in letters:
                with contextlib.suppress(LetterDamaged):  # the check has named it
                    await store.queue.deliver_local(letter, NOW_S)
        for letter in await store.queue.list_letters():
            findings.append(f"not delivered: {letter.trace_id} {[r.last_reply for r in letter.recipients]}")
        entries = load_entries(ledgers.glob("letters-*"))
        found = await find_letters(store, entries)
        verdict = evaluate(entries, found, places=2)
        findings += [f"lost {identity}: {len(found[identity])} copies" for identity in verdict.lost]
        for path in sorted(ledgers.glob("boxes-*")):
            findings += await audit_boxes(store, path)
        await store.maintain()
        findings += [f"after recovery: {finding}" for finding in await store.check()]
        return verdict, findings
    finally:
        await store.close()


async def find_letters(store: EmbeddedStore, entries: Mapping[str, Entry]) -> dict[str, list[str]]:
    """The hash of every copy of the ledger's letters, by id. That files have the octets of their names, check said."""
    identities = {entry.sha256: identity for identity, entry in entries.items()}
    found: dict[str, list[str]] = defaultdict(list)
    for name in {*map(account_of, entries), SHARED}:
        account = await store.account(name)
        for mailbox in await account.list_mailboxes():
            for message in await account.messages(mailbox.mailbox_id):
                found[identities.get(message.sha256, f"unknown {message.sha256[:8]}")].append(message.sha256)
    return found


async def audit_boxes(store: EmbeddedStore, path: Path) -> list[str]:
    """Replays one account's ledger. A last intention without an answer may be there wholly or not at all; which of the
    two is noted, for the next audit."""
    must, name, open_note = Boxes(), "", None
    for note in load_notes([path]):
        name = note["account"]
        if note["kind"] == "done" or (note["kind"] == "settled" and note["happened"]):
            try:
                must.play(note)
            except KeyError as error:
                return [f"{name}: an answer speaks of UID {error}, which an earlier answer removed"]
        open_note = note if note["kind"] == "intended" else None
    if not name:
        return []
    there = await actual(store, name)
    if open_note is not None:
        happened = there != must.as_plain()
        settled = {**open_note, **(complete(open_note, there) if happened else {}), "happened": happened}
        if happened:
            with contextlib.suppress(KeyError):  # what cannot be played shows as a difference
                must.play(settled)
        ledger = Ledger(path)
        ledger.note("settled", **{key: value for key, value in settled.items() if key != "kind"})
        ledger.close()
    return [] if there == must.as_plain() else [f"{name}: {difference(must.as_plain(), there)}"]


def complete(note: Mapping[str, Any], there: Mapping[str, Mapping[int, tuple[str, int]]]) -> dict[str, Any]:
    """The UIDs that an unanswered append or move gave, read from what is there."""
    if note["op"] == "append":
        by_hash = {sha256: uid for uid, (sha256, _) in there.get(note["mailbox"], {}).items()}
        return {"uids": [by_hash.get(sha256, -1) for sha256 in note["hashes"]]}
    if note["op"] == "move":
        newest = sorted(there.get(note["target"], {}))[-len(note["uids"]) :]
        return {"new_uids": newest + [-1] * (len(note["uids"]) - len(newest))}
    return {}


async def actual(store: EmbeddedStore, name: str) -> dict[str, dict[int, tuple[str, int]]]:
    """What is in an account, as the model has it."""
    account = await store.account(name)
    boxes = {}
    for mailbox in await account.list_mailboxes():
        rows = {m.uid: (m.sha256, m.flags) for m in await account.messages(mailbox.mailbox_id)}
        if rows:
            boxes[mailbox.name] = rows
    return boxes


def difference(must: Mapping[str, Any], there: Mapping[str, Any]) -> str:
    """Where two models differ, in short."""
    parts = []
    for name in sorted({*must, *there}):
        wanted, got = must.get(name, {}), there.get(name, {})
        lost, extra = sorted(wanted.keys() - got.keys()), sorted(got.keys() - wanted.keys())
        other = sorted(uid for uid in wanted.keys() & got.keys() if wanted[uid] != got[uid])
        if lost or extra or other:
            parts.append(f"{name}: missing {lost[:5]}, unexpected {extra[:5]}, changed {other[:5]}")
    return "; ".join(parts)


async def write_all(
    root: Path, ledgers: Path, number: int, marker: Path, count: int, ready: Callable[[], None]
) -> None:
    """One process of a campaign: two writers at once, a sender and a reader. It ends without closing the store, for a
    process that was told to end after a failed sync may be killed just so."""
    random.seed(os.urandom(8))
    store = EmbeddedStore.open(root, clock=lambda: NOW_S)
    await store.account(f"boxes{number}@lab.test")
    ready()
    life = os.urandom(4).hex()
    letters, boxes = Ledger(ledgers / f"letters-{number}"), Ledger(ledgers / f"boxes-{number}")
    await asyncio.gather(
        write_letters(store, letters, f"sender{number}.{life}", count, marker),
        write_boxes(store, boxes, f"boxes{number}", count, marker),
    )


async def write_in_turn(root: Path, ledgers: Path, count: int, ready: Callable[[], None]) -> None:
    """A sender and then a reader, one call at a time."""
    random.seed(1)
    store = EmbeddedStore.open(root, clock=lambda: NOW_S)
    for name in ("boxes0@lab.test", "sender0@lab.test", SHARED):
        await store.account(name)
    ready()
    never = root / "never"
    letters, boxes = Ledger(ledgers / "letters-0"), Ledger(ledgers / "boxes-0")
    for number in range(count):
        await write_letters(store, letters, f"sender0.{number}", 1, never)
        await write_boxes(store, boxes, "boxes0", 1, never)
    await store.close()
