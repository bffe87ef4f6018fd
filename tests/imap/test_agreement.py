"""Concurrent sessions agree (promises R29): each client's picture, kept from responses alone, equals the store."""

from __future__ import annotations

import asyncio
import random
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from mailserver_py.imap.flags import serialize_flags
from mailserver_py.imap.session import Session
from mailserver_py.mailstore.values import NewMessage

from .letters import LETTERS
from .memory_store import MemoryAccount, MemoryStore
from .transcript import PretendDoor

RESPONSE = re.compile(rb"\* (\d+) (EXISTS|EXPUNGE|FETCH)(?: \((.*)\))?")
UID = re.compile(rb"UID (\d+)")
FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")


def without_literals(data: bytes) -> bytes:
    """Each literal becomes an empty string."""
    while literal := re.search(rb"\{(\d+)\}\r\n", data):
        data = data[: literal.start()] + b'""' + data[literal.end() + int(literal[1]) :]
    return data


class Client:
    """What a client knows: for each sequence number the UID and flags, None while unknown."""

    def __init__(self, store: MemoryStore) -> None:
        self.door = PretendDoor(store)
        self.session = Session(self.door, tls=True)
        self.uids: list[int | None] = []
        self.flags: list[bytes | None] = []

    async def start(self) -> None:
        await self.session.receive(b"l LOGIN alice secret\r\n")
        self.door.take()
        await self.say(b"SELECT INBOX")
        await self.say(b"FETCH 1:* (UID FLAGS)" if self.uids else b"NOOP")

    async def say(self, command: bytes) -> None:
        await self.session.receive(b"t " + command + b"\r\n")
        kind = command.split()[0]
        assert not self.door.incidents
        for line in without_literals(self.door.take()).split(b"\r\n"):
            match = RESPONSE.fullmatch(line)
            if match is None:
                continue
            number, verb = int(match[1]), match[2]
            if verb == b"EXISTS":
                assert number >= len(self.uids)
                missing = number - len(self.uids)
                self.uids += [None] * missing
                self.flags += [None] * missing
            elif verb == b"EXPUNGE":
                assert kind not in {b"FETCH", b"STORE", b"SEARCH"}
                del self.uids[number - 1], self.flags[number - 1]
            else:
                self._learn(number, match[3])

    def _learn(self, number: int, items: bytes) -> None:
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
            await self.say(b"FETCH 1:* (UID FLAGS)")
            assert self.uids == [row.uid for row in rows]
            assert self.flags == [serialize_flags(row.flags, row.keywords) for row in rows]


COMMANDS = [
    b"NOOP", b"STORE 1 +FLAGS (\\Deleted)", b"STORE 2:3 -FLAGS (\\Deleted)", b"STORE 1:2 FLAGS (\\Seen work)",
    b"STORE 3 +FLAGS (other)", b"EXPUNGE", b"UID EXPUNGE 1:5", b"FETCH 1 BODY[]", b"FETCH 1:2 (FLAGS)",
    b"SEARCH ALL", b"UID SEARCH ALL", b"UID STORE 1:9 +FLAGS (\\Flagged)", b"COPY 1 INBOX", b"MOVE 1 Trash",
    b"UID MOVE 2 INBOX", b"APPEND INBOX {2+}\r\n\r\n", b"UID FETCH 1:* (FLAGS)", b"CHECK",
]  # fmt: skip


async def play(script: list[tuple[int, bytes]]) -> None:
    store = MemoryStore()
    account = await store.account("alice")
    for _ in range(3):
        staging = store.stage()
        await staging.write(LETTERS["tiny"])
        await account.append("INBOX", [NewMessage(await staging.finish(), 0)])
    clients = [Client(store) for _ in range(3)]
    for client in clients:
        await client.start()
    for number, command in script:
        await clients[number].say(command)
    for client in clients:
        await client.check(account)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(COMMANDS)), max_size=30))
def test_clients_and_store_agree_after_anything(script: list[tuple[int, bytes]]) -> None:
    asyncio.run(play(script))


def test_clients_and_store_agree_in_a_long_run() -> None:
    chance = random.Random(7)
    asyncio.run(play([(chance.randrange(3), chance.choice(COMMANDS)) for _ in range(1500)]))
