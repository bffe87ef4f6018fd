"""Taking back, forgetting and erasing, killed at every system call that changes the disk, and done again.

Each run begins with a copy of one store. What the kill left must be sound, all or nothing, and lead to the same end.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from mailserver_py.mailstore.embedded import EmbeddedStore
from mailserver_py.mailstore.embedded.schema import ACCOUNT_VERSION
from mailserver_py.mailstore.keeping import Erasure
from mailserver_py.mailstore.values import AccountRules, NewLetter, NewMessage, NewRecipient, NoSuchAccount
from tests.mailstore.test_embedded import make_first_version

from .campaign import WRITING, Child, in_child, rounds, traced
from .store_writers import NOW_S, stage

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(os.geteuid() != 0, reason="traces processes: needs root"),
]

CHANGING = f"{WRITING},unlinkat,rmdir"
"""Removing a folder with what is in it takes these."""

ALICE, BOB = "alice@lab.test", "bob@lab.test"
SHARED = b"for both of them"
LATER_S = NOW_S + 30 * 86_400
RULES = AccountRules(kept_for_s=86_400)


def open_store(root: Path, at_s: int = NOW_S) -> EmbeddedStore:
    return EmbeddedStore.open(root, clock=lambda: at_s, rules=lambda _: RULES)


async def fill(root: Path) -> None:
    """Alice has two letters, three expunged ones and one with Bob; one that she sent and one for her are queued."""
    store = open_store(root)
    alice, bob = await store.account(ALICE), await store.account(BOB)
    letters = [NewMessage(await stage(store, b"letter %d of Alice" % number), NOW_S) for number in range(5)]
    await alice.append("INBOX", letters)
    inbox = await alice.mailbox("INBOX")
    for account in (alice, bob):
        await account.append("Archive", [NewMessage(await stage(store, SHARED), NOW_S)])
    await alice.remove(inbox.mailbox_id, [1, 2, 3])
    for author, to in ((ALICE, NewRecipient("carol@peer.test")), ("", NewRecipient(ALICE, ALICE))):
        staged = await stage(store, b"on its way " + author.encode())
        await store.queue.accept(NewLetter("t", author, staged, [to], NOW_S, author))
    await store.close()


async def undelete(root: Path, ready: Callable[[], None]) -> None:
    store = open_store(root)
    await store.account(ALICE)
    ready()
    await take_back(store)


async def take_back(store: EmbeddedStore) -> None:
    keeping = await store.keeping(ALICE)
    await keeping.undelete([one.expunged_id for one in await keeping.list_expunged()])


async def audit_undelete(root: Path) -> list[str]:
    """All or nothing; then once each."""
    store = open_store(root)
    try:
        findings = list(await store.check())
        keeping, account = await store.keeping(ALICE), await store.account(ALICE)
        inbox = await account.mailbox("INBOX")
        state = (len(await keeping.list_expunged()), len(await account.messages(inbox.mailbox_id)))
        if state not in ((3, 2), (0, 5)):
            findings.append(f"kept and there: {state}")
        await take_back(store)
        letters = [m.sha256 for m in await account.messages(inbox.mailbox_id)]
        if len(letters) != 5 or len(set(letters)) != 5:
            findings.append(f"{len(letters)} letters, {len(set(letters))} different")
        return findings + list(await store.check())
    finally:
        await store.close()


async def forget(root: Path, ready: Callable[[], None]) -> None:
    store = open_store(root, LATER_S)
    await store.account(ALICE)
    ready()
    await (await store.keeping(ALICE)).forget_expunged()
    await store.maintain()


async def audit_forget(root: Path) -> list[str]:
    """What is kept can be read; after another round nothing is left of it, and all else is whole."""
    store = open_store(root, LATER_S)
    try:
        findings = list(await store.check())
        keeping = await store.keeping(ALICE)
        ids = [one.expunged_id for one in await keeping.list_expunged()]
        async for chunk in keeping.expunged_letters(ids):
            findings += [f"expunged {one} cannot be read" for one, letter in chunk if letter is None]
        await keeping.forget_expunged()
        await store.maintain()
        # What was noted after the commit only is for the check: it needs an hour, and so it is asked for here.
        await store.inspect("", 1 << 30)
        if await keeping.list_expunged():
            findings.append("expunged mail is left")
        return findings + list(await store.check())
    finally:
        await store.close()


def attest(root: Path) -> Callable[[Erasure], None]:
    """Leaves a receipt, as the command does."""
    return lambda erasure: (root.parent / "receipt").write_text(f"{erasure}") and None


async def erase(root: Path, ready: Callable[[], None]) -> None:
    store = EmbeddedStore.open(root, clock=lambda: NOW_S)
    ready()
    await store.erase(ALICE, attest(root))


async def audit_erase(root: Path) -> list[str]:
    """Sound but for what is said of the erasure; done again, no byte is left, and the receipt is right."""
    store = EmbeddedStore.open(root, clock=lambda: NOW_S)
    receipt = root.parent / "receipt"
    try:
        findings = [line for line in await store.check() if "cut short" not in line]
        try:
            await store.erase(ALICE, attest(root))
        except NoSuchAccount:
            if not receipt.exists():
                findings.append("erased without a receipt")
        findings += await store.check()
        bob = await store.account(BOB)
        archive = await bob.mailbox("Archive")
        rows = [row async for chunk in bob.letters(archive.mailbox_id, [1]) for row in chunk]
        if rows != [(1, SHARED)]:
            findings.append("Bob's letter is gone")
        (left,) = await store.queue.list_letters()
        if [(one.account, one.forward_path) for one in left.recipients] != [("", ALICE)]:
            findings.append(f"queue: {left}")
    finally:
        await store.close()
    wanted = str(Erasure(6, 3, 3, 6, 5 * 17 + len(SHARED), 5, 1, 1, 1))
    if receipt.read_text() != wanted:
        findings.append(f"receipt: {receipt.read_text()} instead of {wanted}")
    octets = b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())
    if b"of Alice" in octets:
        findings.append("a letter of Alice's is left")
    findings += [f"left: {path}" for path in root.rglob("*") if "alice" in path.name]
    return findings


async def migrate(root: Path, ready: Callable[[], None]) -> None:
    store = open_store(root)
    ready()
    await store.account(ALICE)


async def audit_migrate(root: Path) -> list[str]:
    """The next opening leads it to the present version, with all letters."""
    store = open_store(root)
    try:
        account = await store.account(ALICE)
        await store.check(repair=True)  # digests are derived anew
        inbox = await account.mailbox("INBOX")
        uids = [m.uid for m in await account.messages(inbox.mailbox_id)]
        return [*await store.check(), *([] if uids == [4, 5] else [f"UIDs {uids}"])]
    finally:
        await store.close()


class Operation(NamedTuple):
    """What is killed, and how the end is judged."""

    work: Callable[[Path, Callable[[], None]], Awaitable[None]]
    audit: Callable[[Path], Awaitable[list[str]]]
    first_version: bool = False
    bounded: int = 10


OPERATIONS = {
    "undelete": Operation(undelete, audit_undelete),
    "forget": Operation(forget, audit_forget),
    "erase": Operation(erase, audit_erase, bounded=30),
    "migrate": Operation(migrate, audit_migrate, first_version=True),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_kill_at_any_change_of_the_disk_is_all_or_nothing_and_done_again(name: str, tmp_path: Path) -> None:
    operation = OPERATIONS[name]
    template = tmp_path / "template"
    in_child(lambda: fill(template))
    if operation.first_version:
        make_first_version(template / "accounts" / ALICE / "index.db")
    points = list_points(run(tmp_path, template, operation, ""))
    run_count = min(len(points), rounds(operation.bounded))
    killed_count = 0
    for number in range(run_count):
        call, count = points[number * len(points) // run_count]
        log = run(tmp_path, template, operation, f"{call}:signal=SIGKILL:when={count}")
        killed_count += "killed by SIGKILL" in log
        findings = in_child(lambda: operation.audit(tmp_path / "run" / "store"))
        assert findings == [], f"{name}, killed at {call} {count}: {findings}"
    print(f"{name}: {len(points)} points, {run_count} runs, {killed_count} killed; version {ACCOUNT_VERSION}")
    assert killed_count > run_count // 2


def run(folder: Path, template: Path, operation: Operation, inject: str) -> str:
    """One run on a fresh copy; strace's log."""
    place = folder / "run"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    shutil.copytree(template, place / "store")
    log = folder / "strace"
    child = Child(lambda ready: operation.work(place / "store", ready), folder / "errors")
    child.wait_ready()
    with traced(child, log, "-e", f"trace={CHANGING}", *(["-e", f"inject={inject}"] if inject else [])):
        child.go()
        child.wait()
    assert inject or not (folder / "errors").exists(), (folder / "errors").read_text()
    return log.read_text(errors="replace")


def list_points(log: str) -> list[tuple[str, int]]:
    """Every (call, how many times by one thread): strace counts each kind of call by itself, so that a rename after
    many writes is only met when it is asked for by name."""
    calls = CHANGING.split(",")
    lines = (line.split(None, 2) for line in log.splitlines())
    made = Counter((words[0], words[1].partition("(")[0]) for words in lines)
    most = {call: max((n for (_, name), n in made.items() if name == call), default=0) for call in calls}
    return [(call, count) for call in calls for count in range(1, most[call] + 1)]
