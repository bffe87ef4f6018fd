"""A store in memory that keeps the port's promises except durability: for the tests of the reading protocols."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from mailserver_py.imap.digest import derive
from mailserver_py.mailstore.names import parse_mailbox_name
from mailserver_py.mailstore.values import (
    INBOX,
    SAVED_AT,
    Appended,
    BadMailboxName,
    Changed,
    Changes,
    Digest,
    Flag,
    FlagChange,
    FlagsStored,
    Mailbox,
    MailboxExists,
    Message,
    MessageGone,
    NewMessage,
    NoSuchMailbox,
    OverQuota,
    Staged,
    Usage,
)

SPECIAL = {
    "Drafts": "\\Drafts",
    "Sent": "\\Sent",
    "Junk": "\\Junk",
    "Trash": "\\Trash",
    "Archive": "\\Archive",
}


@dataclass
class Row:
    """A message and all that is kept of it."""

    message: Message
    letter: bytes | None
    digest: Digest
    saved_at_s: int = 1_799_999_000


@dataclass
class Box:
    """A mailbox."""

    mailbox_id: int
    uid_validity: int
    special_use: str = ""
    uid_next: int = 1
    modseq: int = 1
    rows: dict[int, Row] = field(default_factory=dict)
    expunged: list[tuple[int, int]] = field(default_factory=list)


class MemoryStaging:
    def __init__(self) -> None:
        self.data = bytearray()
        self.discarded = False

    async def write(self, chunk: bytes) -> None:
        self.data += chunk

    async def finish(self) -> Staged:
        data = bytes(self.data)
        return Staged(hashlib.sha256(data).hexdigest(), len(data), "", data)

    async def discard(self) -> None:
        self.discarded = True


class MemoryAccount:
    def __init__(self, name: str, quota_bytes: int, announce: Callable[[Changed], None]) -> None:
        self.name = name
        self.quota_bytes = quota_bytes
        self.boxes: dict[str, Box] = {}
        self.subscriptions: set[str] = set()
        self._announce = announce
        self._last_id = 0
        self._add(INBOX)
        for box, use in SPECIAL.items():
            self._add(box, use)

    def _add(self, name: str, use: str = "") -> Box:
        self._last_id += 1
        box = self.boxes[name] = Box(self._last_id, 1000 + self._last_id, use)
        return box

    def _box(self, name: str) -> Box:
        if name not in self.boxes:
            raise NoSuchMailbox(name)
        return self.boxes[name]

    def _by_id(self, mailbox_id: int) -> tuple[str, Box]:
        for name, box in self.boxes.items():
            if box.mailbox_id == mailbox_id:
                return name, box
        raise NoSuchMailbox(str(mailbox_id))

    def _value(self, name: str, box: Box) -> Mailbox:
        messages = [row.message for row in box.rows.values()]
        return Mailbox(
            box.mailbox_id,
            name,
            box.uid_validity,
            box.uid_next,
            box.modseq,
            len(messages),
            sum(1 for m in messages if not m.flags & Flag.SEEN),
            sum(1 for m in messages if m.flags & Flag.DELETED),
            sum(m.size_bytes for m in messages),
            name in self.subscriptions,
            box.special_use,
        )

    def _check(self, name: str) -> str:
        return parse_mailbox_name(name)

    async def list_mailboxes(self) -> Sequence[Mailbox]:
        names = sorted(self.boxes, key=lambda name: (name != INBOX, name))
        return [self._value(name, self.boxes[name]) for name in names]

    async def list_subscriptions(self) -> Sequence[str]:
        return sorted(self.subscriptions)

    async def mailbox(self, name: str) -> Mailbox:
        return self._value(name, self._box(name))

    async def create(self, name: str, special_use: str = "") -> Mailbox:
        if name in self.boxes:
            raise MailboxExists(name)
        self._check(name)
        levels = name.split("/")
        for depth in range(1, len(levels)):
            above = "/".join(levels[:depth])
            if above not in self.boxes:
                self._add(above)
        box = self._add(name, special_use)
        self._announce(Changed(self.name))
        return self._value(name, box)

    async def delete(self, name: str) -> None:
        if name == INBOX:
            raise BadMailboxName(name)
        self._box(name)
        del self.boxes[name]
        self._announce(Changed(self.name))

    async def rename(self, old: str, new: str) -> None:
        self._box(old)
        if new in self.boxes:
            raise MailboxExists(new)
        self._check(new)
        if old == INBOX:
            await self.create(new)
            box = self.boxes[INBOX]
            await self.move(box.mailbox_id, list(box.rows), new)
            return
        for name in [name for name in self.boxes if name == old or name.startswith(old + "/")]:
            self.boxes[new + name[len(old) :]] = self.boxes.pop(name)
        self._announce(Changed(self.name))

    async def subscribe(self, name: str, subscribed: bool) -> None:
        (self.subscriptions.add if subscribed else self.subscriptions.discard)(self._check(name))

    async def messages(self, mailbox_id: int) -> Sequence[Message]:
        return [row.message for row in self._by_id(mailbox_id)[1].rows.values()]

    async def changes(self, mailbox_id: int, since_modseq: int) -> Changes:
        name, box = self._by_id(mailbox_id)
        return Changes(
            self._value(name, box),
            [row.message for row in box.rows.values() if row.message.modseq > since_modseq],
            [uid for uid, modseq in box.expunged if modseq > since_modseq],
        )

    async def digests(
        self, mailbox_id: int, uids: Sequence[int], columns: Sequence[str]
    ) -> Sequence[tuple[object, ...]]:
        rows = self._by_id(mailbox_id)[1].rows
        return [
            (
                uid,
                *(rows[uid].saved_at_s if c == SAVED_AT else getattr(rows[uid].digest, c) for c in columns),
            )
            for uid in uids
            if uid in rows
        ]

    async def letters(
        self, mailbox_id: int, uids: Sequence[int]
    ) -> AsyncIterator[Sequence[tuple[int, bytes | None]]]:
        rows = self._by_id(mailbox_id)[1].rows
        found = [(uid, rows[uid].letter) for uid in uids if uid in rows]
        for start in range(0, len(found), 3):
            yield found[start : start + 3]

    def _insert(self, box: Box, message: Message, letter: bytes | None, digest: Digest) -> int:
        box.modseq += 1
        uid = box.uid_next
        box.uid_next += 1
        box.rows[uid] = Row(message._replace(uid=uid, modseq=box.modseq), letter, digest)
        return uid

    async def append(self, mailbox: str, messages: Sequence[NewMessage]) -> Appended:
        box = self._box(mailbox)
        size_bytes = sum(new.staged.size_bytes for new in messages)
        if self.quota_bytes and (await self.usage()).size_bytes + size_bytes > self.quota_bytes:
            raise OverQuota(mailbox)
        uids = []
        for new in messages:
            letter = new.staged.data or b""
            message = Message(
                0, 0, new.flags, new.keywords, len(letter), new.received_at_s, new.staged.sha256
            )
            uids.append(self._insert(box, message, letter, derive(letter)))
        self._announce(Changed(self.name, box.mailbox_id))
        return Appended(box.uid_validity, uids)

    async def store_flags(
        self,
        mailbox_id: int,
        uids: Sequence[int],
        change: FlagChange,
        flags: int,
        keywords: Sequence[str] = (),
        unchanged_since: int | None = None,
    ) -> FlagsStored:
        _, box = self._by_id(mailbox_id)
        stored, refused = [], []
        modseq = box.modseq + 1
        for uid in uids:
            row = box.rows.get(uid)
            if row is None:
                continue
            old = row.message
            if unchanged_since is not None and old.modseq > unchanged_since:
                refused.append(uid)
                continue
            bits, words = _change(old, change, flags, keywords)
            if (bits, words) != (old.flags, old.keywords):
                row.message = old._replace(flags=bits, keywords=words, modseq=modseq)
                box.modseq = modseq
            stored.append(row.message)
        self._announce(Changed(self.name, mailbox_id))
        return FlagsStored(stored, refused)

    async def expunge(self, mailbox_id: int, uids: Sequence[int] | None = None) -> Sequence[int]:
        _, box = self._by_id(mailbox_id)
        return await self.remove(
            mailbox_id,
            [
                uid
                for uid, row in box.rows.items()
                if row.message.flags & Flag.DELETED and (uids is None or uid in uids)
            ],
        )

    async def remove(self, mailbox_id: int, uids: Sequence[int]) -> Sequence[int]:
        _, box = self._by_id(mailbox_id)
        gone = [uid for uid in uids if uid in box.rows]
        if gone:
            box.modseq += 1
        for uid in gone:
            del box.rows[uid]
            box.expunged.append((uid, box.modseq))
        self._announce(Changed(self.name, mailbox_id))
        return gone

    async def copy(
        self, mailbox_id: int, uids: Sequence[int], target: str, *, whole: bool = False
    ) -> Appended:
        source, box = self._by_id(mailbox_id)[1], self._box(target)
        if whole and not set(uids) <= set(source.rows):
            raise MessageGone(target)
        rows = [source.rows[uid] for uid in uids if uid in source.rows]
        sources = [row.message.uid for row in rows]
        copies = [self._insert(box, row.message, row.letter, row.digest) for row in rows]
        self._announce(Changed(self.name, box.mailbox_id))
        return Appended(box.uid_validity, copies, sources)

    async def move(
        self, mailbox_id: int, uids: Sequence[int], target: str, *, whole: bool = False
    ) -> Appended:
        appended = await self.copy(mailbox_id, uids, target, whole=whole)
        await self.remove(mailbox_id, appended.source_uids)
        return appended

    async def replace(self, mailbox_id: int, uid: int, target: str, message: NewMessage) -> Appended:
        self._box(target)
        old = self._by_id(mailbox_id)[1].rows.get(uid)
        if old is None:
            raise MessageGone(target)
        quota_bytes, self.quota_bytes = (
            self.quota_bytes,
            self.quota_bytes and (self.quota_bytes + old.message.size_bytes),
        )
        try:
            appended = await self.append(target, [message])
        finally:
            self.quota_bytes = quota_bytes
        await self.remove(mailbox_id, [uid])
        return Appended(appended.uid_validity, appended.uids, [uid])

    async def usage(self) -> Usage:
        messages = [row.message for box in self.boxes.values() for row in box.rows.values()]
        return Usage(sum(m.size_bytes for m in messages), len(messages), self.quota_bytes)


def _change(old: Message, change: FlagChange, flags: int, keywords: Sequence[str]) -> tuple[int, str]:
    have = {word.lower(): word for word in old.keywords.split()}
    wanted = {word.lower(): word for word in keywords}
    if change is FlagChange.REPLACE:
        bits, words = flags, {**wanted, **{k: v for k, v in have.items() if k in wanted}}
    elif change is FlagChange.ADD:
        bits, words = old.flags | flags, {**wanted, **have}
    else:
        bits, words = old.flags & ~flags, {k: v for k, v in have.items() if k not in wanted}
    return bits, " ".join(sorted(words.values()))


class MemoryStore:
    """The store; it has no queue."""

    def __init__(self, announce: Callable[[Changed], None] = lambda changed: None) -> None:
        self.accounts: dict[str, MemoryAccount] = {}
        self.stagings: list[MemoryStaging] = []
        self._announce = announce

    def stage(self) -> MemoryStaging:
        staging = MemoryStaging()
        self.stagings.append(staging)
        return staging

    async def account(self, name: str, quota_bytes: int = 0) -> MemoryAccount:
        if name not in self.accounts:
            self.accounts[name] = MemoryAccount(name, quota_bytes, self._announce)
        return self.accounts[name]
