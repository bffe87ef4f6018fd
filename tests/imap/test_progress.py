"""INPROGRESS (RFC 9585): long commands say how far they are, short ones nothing."""

from __future__ import annotations

import asyncio

import pytest

from mailserver_py.imap.session import Session
from mailserver_py.mailstore.values import NewMessage

from .letters import LETTERS
from .memory_store import MemoryStore
from .transcript import NOW_S, PretendDoor


class SlowDoor(PretendDoor):
    """Whenever somebody looks, time has passed."""

    step_s = 0

    def now_s(self) -> int:
        self.looked_count = getattr(self, "looked_count", 0) + 1
        return NOW_S + self.step_s * self.looked_count


@pytest.mark.parametrize(
    ("step_s", "told"),
    [(0, []), (4, [(9, 10)]), (11, [(3, 10), (6, 10), (9, 10), (10, 10)])],
    ids=["short", "long", "very-long"],
)
@pytest.mark.parametrize("verb", [b"SEARCH", b"UID SEARCH", b"SORT (DATE) UTF-8"])
def test_a_long_search_says_how_far_it_is(verb: bytes, step_s: int, told: list[tuple[int, int]]) -> None:
    async def play() -> None:
        store = MemoryStore()
        account = await store.account("alice")
        for _ in range(10):
            staging = store.stage()
            await staging.write(LETTERS["tiny"])
            await account.append("INBOX", [NewMessage(await staging.finish(), 0)])
        door = SlowDoor(store)
        session = Session(door, tls=True)
        await session.receive(b"l LOGIN alice secret\r\ns SELECT INBOX\r\n")
        door.take()
        door.step_s = step_s
        await session.receive(b"t9 " + verb + b" TEXT tiny\r\n")
        seen = [line for line in door.take().split(b"\r\n") if b"INPROGRESS" in line]
        assert seen == [b'* OK [INPROGRESS ("t9" %d %d)] Still at work' % pair for pair in told]

    asyncio.run(play())
