"""Big answers: bounded writes, small sessions, and figures that are not lost by accident."""

from __future__ import annotations

import asyncio
import tracemalloc

from mailserver_py.imap.commands.fetch import CHUNK_BYTES
from mailserver_py.imap.digest import derive
from mailserver_py.imap.selected import Selected
from mailserver_py.imap.session import Session
from mailserver_py.mailstore.values import Mailbox, Message

from .letters import LETTERS
from .memory_store import MemoryAccount, MemoryStore
from .transcript import PretendDoor


class CountingDoor(PretendDoor):
    writes_count = 0

    async def send(self, data: bytes) -> None:
        await super().send(data)
        self.writes_count += 1


def test_a_fetch_of_ten_thousand_messages_is_a_few_bounded_writes() -> None:
    async def play() -> None:
        store = MemoryStore()
        account = await store.account("alice")
        letter, digest = LETTERS["plain"], derive(LETTERS["plain"])
        for number in range(10_000):
            message = Message(0, 0, number % 4, "", len(letter), 1_700_000_000 + number, "")
            account._insert(account.boxes["INBOX"], message, letter, digest)
        door = CountingDoor(store)
        session = Session(door, tls=True)
        await session.receive(b"l LOGIN alice secret\r\ns SELECT INBOX\r\n")
        for items in (b"(UID FLAGS)", b"ALL", b"(UID BODY.PEEK[])"):
            door.take()
            door.writes_count = door.largest_write = 0
            await session.receive(b"f FETCH 1:* %b\r\n" % items)
            sent = door.take()
            assert sent.count(b" FETCH (") == 10_000
            assert door.largest_write < 2 * CHUNK_BYTES
            assert door.writes_count <= len(sent) // (CHUNK_BYTES // 2) + 3

    asyncio.run(play())


def test_a_selected_mailbox_costs_less_than_a_hundred_octets_a_message() -> None:
    count = 50_000
    account = MemoryAccount("alice", 0, lambda changed: None)
    mailbox = Mailbox(1, "INBOX", 1, count + 1, 9, count, 0, 0, 0, False, "")
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        messages = [Message(uid, uid, 0, "", 5000, 1_700_000_000, "") for uid in range(1, count + 1)]
        box = Selected(account, mailbox, messages, read_only=False)
        del messages
        assert (tracemalloc.get_traced_memory()[0] - before) / count < 100
        assert box.count == count
    finally:
        tracemalloc.stop()
