"""Concurrent sessions agree (promises R29): each client's picture, kept from responses alone, equals the store."""

from __future__ import annotations

import asyncio
import random
import re
from typing import ClassVar

from hypothesis import given, settings
from hypothesis import strategies as st

from mailserver_py.imap.flags import serialize_flags
from mailserver_py.imap.session import Session
from mailserver_py.mailstore.values import NewMessage

from .letters import LETTERS
from .memory_store import MemoryAccount, MemoryStore
from .transcript import PretendDoor

RESPONSE = re.compile(rb"\* (\d+) (EXISTS|EXPUNGE|FETCH)(?: \((.*)\))?")
VANISHED = re.compile(rb"\* VANISHED( \(EARLIER\))? ([0-9:,]+)")
UID = re.compile(rb"UID (\d+)")
FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")
MODSEQ = re.compile(rb"MODSEQ \((\d+)\)")
HIGHEST = re.compile(rb"\[HIGHESTMODSEQ (\d+)\]")
SHIFTLESS = {b"FETCH", b"STORE", b"SEARCH", b"SORT", b"THREAD"}
"""Commands during which no sequence number may move (RFC 9051 §7.5.1)."""


def without_literals(data: bytes) -> bytes:
    """Each literal becomes an empty string."""
    while literal := re.search(rb"\{(\d+)\}\r\n", data):
        data = data[: literal.start()] + b'""' + data[literal.end() + int(literal[1]) :]
    return data


def expand(numbers: bytes) -> set[int]:
    found: set[int] = set()
    for part in numbers.split(b","):
        ends = [int(end) for end in part.split(b":")]
        found.update(range(min(ends), max(ends) + 1))
    return found


def kind_of(command: bytes) -> bytes:
    return command.split()[0]


class Client:
    """What a client knows: for each sequence number the UID and flags, None while unknown."""

    enabling: tuple[bytes, ...] = ()

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.uids: list[int | None] = []
        self.flags: list[bytes | None] = []

    async def connect(self) -> None:
        self.door = PretendDoor(self.store)
        self.session = Session(self.door, tls=True)
        await self.session.receive(b"l LOGIN alice secret\r\n")
        for name in self.enabling:
            await self.session.receive(b"e ENABLE " + name + b"\r\n")
        self.door.take()

    async def start(self) -> None:
        await self.connect()
        await self.say(b"SELECT INBOX")
        await self.say(b"UID FETCH 1:* (UID FLAGS)")

    async def say(self, command: bytes) -> None:
        await self.session.receive(b"t " + command + b"\r\n")
        assert not self.door.incidents
        for line in without_literals(self.door.take()).split(b"\r\n"):
            self.hear(line, kind_of(command))

    def hear(self, line: bytes, kind: bytes) -> None:
        match = RESPONSE.fullmatch(line)
        if match is None:
            return
        number, verb = int(match[1]), match[2]
        if verb == b"EXISTS":
            assert number >= len(self.uids)
            missing = number - len(self.uids)
            self.uids += [None] * missing
            self.flags += [None] * missing
        elif verb == b"EXPUNGE":
            assert kind not in SHIFTLESS
            del self.uids[number - 1], self.flags[number - 1]
        else:
            self.learn(number, match[3])

    def learn(self, number: int, items: bytes) -> None:
        uid, flags = UID.search(items), FLAGS.search(items)
        if uid:
            assert self.uids[number - 1] in {None, int(uid[1])}
            self.uids[number - 1] = int(uid[1])
        if flags:
            self.flags[number - 1] = flags[1]

    async def check(self, account: MemoryAccount) -> None:
        await self.say(b"NOOP")
        rows = [row.message for row in account.boxes["INBOX"].rows.values()]
        assert len(self.uids) == len(rows)
        for uid, flags, row in zip(self.uids, self.flags, rows, strict=True):
            assert uid in {None, row.uid}
            assert flags in {None, serialize_flags(row.flags, row.keywords)}
        if rows:
            await self.say(b"UID FETCH 1:* (UID FLAGS)")
            assert self.uids == [row.uid for row in rows]
            assert self.flags == [serialize_flags(row.flags, row.keywords) for row in rows]


ESEARCH = re.compile(rb'\* ESEARCH \(TAG "([^"]*)"\) UID(.*)')
ADDED = re.compile(rb"(ADDTO|REMOVEFROM) \(([^)]*)\)")


class FollowingClient(Client):
    """One that follows two searches (RFC 5267 §4.3); what it was told adds up to what it would find."""

    followed: ClassVar = {
        b"f1": b"UID SEARCH RETURN (UPDATE%s) FLAGGED",
        b"f2": b"UID SORT RETURN (UPDATE%s) (REVERSE SIZE REVERSE ARRIVAL) UTF-8 UNSEEN",
    }

    async def start(self) -> None:
        await super().start()
        self.results: dict[bytes, list[int]] = {}
        for tag, command in self.followed.items():
            await self.session.receive(tag + b" " + command % b" ALL" + b"\r\n")
            self.hear_all(self.door.take())

    def hear_all(self, data: bytes) -> None:
        for line in data.split(b"\r\n"):
            self.hear(line, b"SEARCH")

    def hear(self, line: bytes, kind: bytes) -> None:
        super().hear(line, kind)
        match = ESEARCH.fullmatch(line)
        if match is None or match[1] not in self.followed:
            return
        if match[2].startswith(b" ALL ") or not match[2]:
            self.results[match[1]] = in_order(match[2][5:])
        result = self.results[match[1]]
        for verb, pairs in ADDED.findall(match[2]):
            words = pairs.split()
            for place, numbers in zip(map(int, words[::2]), map(in_order, words[1::2]), strict=True):
                if verb == b"ADDTO" and place:
                    result[place - 1 : place - 1] = numbers
                elif verb == b"ADDTO":
                    result[:] = sorted({*result, *numbers})
                else:
                    assert set(numbers) <= set(result)
                    assert not place or result[place - 1 : place - 1 + len(numbers)] == numbers
                    result[:] = [uid for uid in result if uid not in numbers]

    async def check(self, account: MemoryAccount) -> None:
        await super().check(account)
        told = {tag: list(result) for tag, result in self.results.items()}
        for tag, command in self.followed.items():
            await self.session.receive(b'x CANCELUPDATE "' + tag + b'"\r\n')
            await self.session.receive(tag + b" " + command % b" ALL" + b"\r\n")
            self.hear_all(self.door.take())
        assert self.results == told


def in_order(numbers: bytes) -> list[int]:
    found: list[int] = []
    for part in numbers.split(b",") if numbers else ():
        first, _, last = part.partition(b":")
        found.extend(range(int(first), int(last or first) + 1))
    return found


class ResyncClient(Client):
    """One that loses its connection and knows only what it heard (RFC 7162 §3.2): after QRESYNC it knows all."""

    enabling = (b"QRESYNC",)

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.modseq = 1
        self.known: dict[int, bytes] = {}

    async def say(self, command: bytes) -> None:
        self.seen_modseqs: list[int] = []
        self.told_modseqs: list[int] = []
        await super().say(command)
        if self.told_modseqs:
            self.modseq = self.told_modseqs[-1]
        elif self.seen_modseqs:
            self.modseq = max(self.modseq, *self.seen_modseqs)
        if None in self.uids and kind_of(command) != b"UID":
            # Announced by EXISTS alone: a client asks what it is before it takes a later MODSEQ for its own.
            await self.say(b"UID FETCH 1:* (FLAGS)")

    def hear(self, line: bytes, kind: bytes) -> None:
        if highest := HIGHEST.search(line):
            self.told_modseqs.append(int(highest[1]))
        if match := VANISHED.fullmatch(line):
            gone = expand(match[2])
            for uid in gone:
                self.known.pop(uid, None)
            if match[1]:
                assert gone.isdisjoint(self.uids)
                return
            assert kind not in SHIFTLESS
            assert None in self.uids or gone <= set(self.uids)
            for uid in sorted(gone):
                # A message not asked about yet has the lowest place that is still unknown between its neighbours.
                at = self.uids.index(uid if uid in self.uids else None)
                del self.uids[at], self.flags[at]
            return
        super().hear(line, kind)

    def learn(self, number: int, items: bytes) -> None:
        super().learn(number, items)
        uid, flags, modseq = UID.search(items), FLAGS.search(items), MODSEQ.search(items)
        if uid and flags:
            self.known[int(uid[1])] = flags[1]
        if modseq:
            self.seen_modseqs.append(int(modseq[1]))

    async def reconnect(self, account: MemoryAccount) -> None:
        box = account.boxes["INBOX"]
        self.uids, self.flags = [], []
        await self.connect()
        await self.say(b"SELECT INBOX (QRESYNC (%d %d))" % (box.uid_validity, self.modseq))
        rows = [row.message for row in box.rows.values()]
        assert self.known == {row.uid: serialize_flags(row.flags, row.keywords) for row in rows}
        await self.say(b"UID FETCH 1:* (FLAGS)")


COMMANDS = [
    b"NOOP", b"STORE 1 +FLAGS (\\Deleted)", b"STORE 2:3 -FLAGS (\\Deleted)", b"STORE 1:2 FLAGS (\\Seen work)",
    b"STORE 3 +FLAGS (other)", b"EXPUNGE", b"UID EXPUNGE 1:5", b"FETCH 1 BODY[]", b"FETCH 1:2 (FLAGS)",
    b"SEARCH ALL", b"UID SEARCH ALL", b"UID STORE 1:9 +FLAGS (\\Flagged)", b"COPY 1 INBOX", b"MOVE 1 Trash",
    b"REPLACE 2 INBOX {2+}\r\n\r\n", b"UID REPLACE * Sent {2+}\r\n\r\n",
    b"*", b"*", b"UID FETCH 1:* (FLAGS MODSEQ)", b"FETCH 1 (FLAGS MODSEQ)",
    b"UID MOVE 2 INBOX", b"APPEND INBOX {2+}\r\n\r\n",
    b"APPEND INBOX (\\Flagged) {9+}\r\nA: b\r\n\r\nx", b"UID FETCH 1:* (FLAGS)", b"CHECK",
]  # fmt: skip


async def play(script: list[tuple[int, bytes]]) -> None:
    store = MemoryStore()
    account = await store.account("alice")
    for _ in range(3):
        staging = store.stage()
        await staging.write(LETTERS["tiny"])
        await account.append("INBOX", [NewMessage(await staging.finish(), 0)])
    clients = [Client(store), FollowingClient(store), ResyncClient(store)]
    for client in clients:
        await client.start()
    for number, command in script:
        client = clients[number]
        if command != b"*":
            await client.say(command)
        elif isinstance(client, ResyncClient):
            await client.reconnect(account)
    for client in clients:
        await client.check(account)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(COMMANDS)), max_size=30))
def test_clients_and_store_agree_after_anything(script: list[tuple[int, bytes]]) -> None:
    asyncio.run(play(script))


def test_clients_and_store_agree_in_a_long_run() -> None:
    chance = random.Random(7)
    asyncio.run(play([(chance.randrange(3), chance.choice(COMMANDS)) for _ in range(1500)]))
