"""A letter fetched piece by piece is read from the store once, and not kept for longer than that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from mailserver_py.imap.session import Session
from mailserver_py.mailstore.values import NewMessage

from .letters import LETTERS
from .memory_store import MemoryAccount, MemoryStore
from .transcript import PretendDoor


class CountingAccount(MemoryAccount):
    reads_count = 0

    async def letters(
        self, mailbox_id: int, uids: Sequence[int]
    ) -> AsyncIterator[Sequence[tuple[int, bytes | None]]]:
        self.reads_count += 1
        async for chunk in super().letters(mailbox_id, uids):
            yield chunk


def test_pieces_of_one_letter_cost_one_read() -> None:
    async def play() -> None:
        store = MemoryStore()
        account = store.accounts["alice"] = CountingAccount("alice", 0, lambda changed: None)
        for name in ("plain", "multi"):
            staging = store.stage()
            await staging.write(LETTERS[name])
            await account.append("INBOX", [NewMessage(await staging.finish(), 0)])
        session = Session(PretendDoor(store), tls=True)
        await session.receive(b"l LOGIN alice secret\r\ns EXAMINE INBOX\r\n")
        box = session.box()
        for origin in range(0, 300, 50):
            await session.receive(b"f UID FETCH 1 BODY.PEEK[]<%d.50>\r\n" % origin)
        assert account.reads_count == 1 and box.kept is not None
        await session.receive(b"f FETCH 2 BODY.PEEK[]<0.50>\r\n")
        assert account.reads_count == 2 and box.kept[0] == 2
        await session.receive(b"f NOOP\r\n")
        assert box.kept is None
        await session.receive(b"f FETCH 1 BODY.PEEK[]\r\n")
        assert account.reads_count == 3 and box.kept is None

    asyncio.run(play())
