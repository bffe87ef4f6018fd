"""The embedded engine against a model of a few lines: whatever the order of calls, both tell the same story.

The model knows mailboxes, messages, flags and UIDs; it knows nothing of files, transactions or counters, and those are
what the store's own check looks at after every run. Opening the store again is one of the moves.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from mailserver_py.mailstore.values import Flag, FlagChange, NewMessage, QueuedLetter

from .site import Site, local
from .test_embedded import open_embedded

NAMES = ("INBOX", "Archive", "Sent", "a", "a/b")
UIDS = st.lists(st.integers(1, 6), max_size=4, unique=True).map(sorted)
FLAGS = st.sampled_from([Flag.SEEN, Flag.DELETED, Flag.SEEN | Flag.DELETED, Flag.FLAGGED])


@dataclass
class Model:
    """What an account should hold: for each mailbox its messages by UID, as (text, flags)."""

    boxes: dict[str, dict[int, tuple[str, int]]] = field(default_factory=dict)
    uid_next: dict[str, int] = field(default_factory=dict)
    uids_seen: dict[tuple[int, int], str] = field(default_factory=dict)
    """(UIDVALIDITY, UID) → the text it stands for, for ever."""

    def add(self, name: str, text: str, flags: int) -> int:
        """Puts a message into a mailbox."""
        uid = self.uid_next[name]
        self.uid_next[name] += 1
        self.boxes[name][uid] = (text, flags)
        return uid

    def take(self, name: str, uids: list[int]) -> list[tuple[str, int]]:
        """Takes messages out of a mailbox."""
        return [self.boxes[name].pop(uid) for uid in uids if uid in self.boxes[name]]


class StoreAgainstModel(RuleBasedStateMachine):
    """The moves."""

    letters = Bundle("letters")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp(prefix="store-model-"))
        self.model = Model()
        self.count = 0
        self.modseq = 0

        async def start() -> None:
            self.site = Site(self.folder, open_embedded)
            self.account = await self.site.account()
            for name in ("a", "a/b"):
                await self.account.create(name)

        self.loop.run_until_complete(start())
        for name in NAMES:
            self.model.boxes[name], self.model.uid_next[name] = {}, 1

    def run(self, call: Any) -> Any:
        return self.loop.run_until_complete(call)

    def mailbox_id(self, name: str) -> int:
        return int(self.run(self.account.mailbox(name)).mailbox_id)

    def text(self) -> str:
        self.count += 1
        return f"text {self.count % 5} {'long ' * (self.count % 3)}"

    @rule(name=st.sampled_from(NAMES), flags=FLAGS, count=st.integers(1, 3))
    def append(self, name: str, flags: int, count: int) -> None:
        texts = [self.text() for _ in range(count)]

        async def call() -> Any:
            new = [NewMessage(await self.site.staged(text), 5, int(flags)) for text in texts]
            return await self.account.append(name, new)

        assert list(self.run(call()).uids) == [self.model.add(name, text, int(flags)) for text in texts]

    @rule(target=letters, names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=3))
    def accept(self, names: list[str]) -> tuple[QueuedLetter, str, list[str]]:
        text = self.text()
        recipients = [local(mailbox=name) for name in names]
        return self.run(self.site.accept(*recipients, text=text)), text, names

    @rule(letter=letters)
    def deliver_and_keep(self, letter: tuple[QueuedLetter, str, list[str]]) -> None:
        """Delivered once; every repetition adds nothing."""
        queued, text, names = letter
        fresh = any(q.letter_id == queued.letter_id for q in self.run(self.site.store.queue.list_letters()))
        self.run(self.site.deliver(queued))
        if fresh:
            for mailbox_id in sorted({self.mailbox_id(name) for name in names}):
                name = next(name for name in names if self.mailbox_id(name) == mailbox_id)
                self.model.add(name, text, 0)

    @rule(letter=consumes(letters))
    def deliver_twice_at_once(self, letter: tuple[QueuedLetter, str, list[str]]) -> None:
        self.deliver_and_keep(letter)
        self.run(self.site.deliver(letter[0]))

    @rule(name=st.sampled_from(NAMES), uids=UIDS, change=st.sampled_from(FlagChange), flags=FLAGS)
    def store_flags(self, name: str, uids: list[int], change: FlagChange, flags: int) -> None:
        stored = self.run(self.account.store_flags(self.mailbox_id(name), uids, change, int(flags)))
        box = self.model.boxes[name]
        for uid in uids:
            if uid in box:
                text, old = box[uid]
                new = {
                    FlagChange.REPLACE: flags,
                    FlagChange.ADD: old | flags,
                    FlagChange.REMOVE: old & ~flags,
                }
                box[uid] = (text, int(new[change]))
        assert [(m.uid, m.flags) for m in stored.messages] == [(u, box[u][1]) for u in uids if u in box]

    @rule(name=st.sampled_from(NAMES), uids=st.none() | UIDS)
    def expunge(self, name: str, uids: list[int] | None) -> None:
        gone = self.run(self.account.expunge(self.mailbox_id(name), uids))
        box = self.model.boxes[name]
        expected = [u for u in sorted(box) if box[u][1] & Flag.DELETED and (uids is None or u in uids)]
        assert list(gone) == expected
        self.model.take(name, expected)

    @rule(name=st.sampled_from(NAMES), uids=UIDS)
    def remove(self, name: str, uids: list[int]) -> None:
        gone = self.run(self.account.remove(self.mailbox_id(name), uids))
        assert len(gone) == len(self.model.take(name, uids))

    @rule(name=st.sampled_from(NAMES), destination=st.sampled_from(NAMES), uids=UIDS, moving=st.booleans())
    def transfer(self, name: str, destination: str, uids: list[int], moving: bool) -> None:
        call = self.account.move if moving else self.account.copy
        appended = self.run(call(self.mailbox_id(name), uids, destination))
        box = self.model.boxes[name]
        present = [uid for uid in uids if uid in box]
        rows = [box[uid] for uid in present]
        if moving:
            self.model.take(name, present)
        assert list(appended.source_uids) == present
        assert list(appended.uids) == [self.model.add(destination, *row) for row in rows]

    @rule()
    def delete_and_create(self) -> None:
        before = self.run(self.account.mailbox("a/b"))
        self.run(self.account.delete("a/b"))
        after = self.run(self.account.create("a/b"))
        assert after.uid_validity > before.uid_validity
        self.model.boxes["a/b"], self.model.uid_next["a/b"] = {}, 1

    @rule()
    def maintain(self) -> None:
        self.run(self.site.store.maintain())

    @rule()
    def reopen(self) -> None:
        self.run(self.site.reopen())
        self.account = self.run(self.site.account())

    @invariant()
    def both_tell_the_same(self) -> None:
        for name in NAMES:
            mailbox = self.run(self.account.mailbox(name))
            messages = self.run(self.account.messages(mailbox.mailbox_id))
            box = self.model.boxes[name]
            assert [(m.uid, m.flags) for m in messages] == [(uid, box[uid][1]) for uid in sorted(box)]
            assert (mailbox.message_count, mailbox.uid_next) == (len(box), self.model.uid_next[name])
            assert all(m.modseq <= mailbox.highest_modseq for m in messages)
            for message in messages:
                key = (mailbox.uid_validity, message.uid)
                assert self.model.uids_seen.setdefault(key, message.sha256) == message.sha256

    def teardown(self) -> None:
        async def end() -> None:
            for name in NAMES:
                mailbox = await self.account.mailbox(name)
                uids = sorted(self.model.boxes[name])
                chunks = [chunk async for chunk in self.account.letters(mailbox.mailbox_id, uids)]
                texts = [(uid, octets) for chunk in chunks for uid, octets in chunk]
                assert texts == [(uid, self.model.boxes[name][uid][0].encode()) for uid in uids]
            await self.site.store.maintain()
            assert await self.site.store.check() == []
            await self.site.store.close()

        try:
            self.run(end())
        finally:
            self.loop.close()
            shutil.rmtree(self.folder)


StoreAgainstModel.TestCase.settings = settings(
    max_examples=8,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)
TestStoreAgainstModel = StoreAgainstModel.TestCase
