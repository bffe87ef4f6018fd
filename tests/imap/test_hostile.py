"""Hostile clients: whatever comes, the answer is IMAP, bounded, and never a fault of ours."""

from __future__ import annotations

import asyncio
import random
import re
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailserver_py.imap.session import Session
from mailserver_py.mailstore.values import NewMessage

from .letters import LETTERS
from .memory_store import MemoryStore
from .transcript import PretendDoor

WORDS = [
    b"CAPABILITY", b"NOOP", b"LOGOUT", b"STARTTLS", b"AUTHENTICATE PLAIN", b"LOGIN alice secret", b"ENABLE IMAP4rev2",
    b"SELECT INBOX", b"EXAMINE INBOX", b"CREATE x/y", b"DELETE x", b"RENAME x z", b"SUBSCRIBE x", b"LIST \"\" *",
    b"LSUB \"\" %", b"NAMESPACE", b"STATUS INBOX (MESSAGES)", b"APPEND INBOX {4+}\r\nabcd", b"IDLE", b"DONE", b"CLOSE",
    b"EXPUNGE", b"UNSELECT", b"SEARCH ALL", b"SEARCH RETURN (SAVE) TEXT x", b"FETCH 1:* ALL", b"FETCH 1 BODY[1.2]<0.1>",
    b"FETCH $ (UID BINARY[1])", b"STORE 1:2 +FLAGS (\\Seen)", b"COPY 1:* Trash", b"MOVE 1 Trash", b"UID FETCH 1:* FULL",
    b"UID EXPUNGE 1:9", b"GETQUOTA \"\"", b"ID NIL", b"CHECK", b"UID SEARCH OR SEEN NOT 1:2",
    b"ENABLE QRESYNC",
    b"SELECT INBOX (QRESYNC (1001 1 1:9 (1:2 1:2)))", b"UID FETCH 1:* FLAGS (CHANGEDSINCE 1 VANISHED)",
    b"SEARCH RETURN (UPDATE PARTIAL 1:2) ALL", b"SORT RETURN (UPDATE) (DISPLAYFROM) UTF-8 ALL", b"CANCELUPDATE \"t\"",
    b"APPEND INBOX CATENATE (TEXT {3+}\r\nabc URL \"/INBOX/;UID=1/;SECTION=1\")",
    b"ENABLE UIDONLY", b"ESEARCH IN (personal) RETURN (COUNT) ALL", b"ESEARCH RETURN (UPDATE) 1:2",
    b"THREAD REFERENCES UTF-8 ALL", b"UID FETCH 1:* FLAGS (PARTIAL -1:-9)",
    b"REPLACE 1 INBOX {4+}\r\nabcd", b"FETCH 1:* SAVEDATE",
]  # fmt: skip
NOISE = [
    b"(", b")", b"[", b"]", b"{", b"}", b"{3}", b"{2+}\r\n", b"~{1+}\r\n\0", b"\"", b"\\", b"*", b"%", b" ", b"\r\n",
    b"\n", b"\0", b"\xff", b"$", b"&", b"1:*", b"4294967295", b"99999999999999999999", b"a" * 50,
]  # fmt: skip


@st.composite
def conversations(draw: st.DrawFn) -> bytes:
    lines = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=12))
    sent = bytearray()
    for line in lines:
        text = bytearray(b"t " + line + b"\r\n")
        for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 2]))):
            at = draw(st.integers(0, len(text)))
            text[at : at + draw(st.integers(0, 3))] = draw(st.sampled_from(NOISE))
        sent += text
    return bytes(sent)


def responses(data: bytes) -> Iterator[bytes]:
    """Splits what a server said into responses, literals included."""
    at = 0
    while at < len(data):
        start = at
        while True:
            end = data.index(b"\r\n", at)
            literal = re.search(rb"~?\{(\d+)\}\Z", data[at:end])
            at = end + 2
            if literal is None:
                break
            at += int(literal[1])
        yield data[start:at]


GRAMMAR = re.compile(
    rb"(\*|[!-~]{1,128}) (OK|NO|BAD|BYE) [ -~]+\r\n|\+ [ -~]*\r\n"
    rb"|\* (CAPABILITY|ENABLED|NAMESPACE|LIST|LSUB|STATUS|SEARCH|ESEARCH|SORT|THREAD|FLAGS|ID|QUOTA|QUOTAROOT)\b.*\r\n"
    rb"|\* VANISHED( \(EARLIER\))? [0-9:,]+\r\n"
    rb"|\* \d+ (EXISTS|RECENT|EXPUNGE|(?:UID)?FETCH \(.*\))\r\n",
    re.DOTALL,
)


async def play(data: bytes, chance: random.Random, *, logged_in: bool) -> PretendDoor:
    store = MemoryStore()
    door = PretendDoor(store)
    account = await store.account("alice")
    for name in ("multi", "plain"):
        staging = store.stage()
        await staging.write(LETTERS[name])
        await account.append("INBOX", [NewMessage(await staging.finish(), 1_700_000_000)])
    session = Session(door, tls=True)
    await session.greet()
    if logged_in:
        await session.receive(b"l LOGIN alice secret\r\ns SELECT INBOX\r\n")
    at = 0
    while at < len(data):
        step = chance.randrange(1, 40)
        await session.receive(data[at : at + step])
        at += step
    await session.close()
    return door


@settings(max_examples=150, deadline=None)
@given(conversations(), st.randoms(use_true_random=False), st.booleans())
def test_any_conversation_gets_well_formed_answers(
    data: bytes, chance: random.Random, logged_in: bool
) -> None:
    door = asyncio.run(play(data, chance, logged_in=logged_in))
    assert door.incidents == []
    for response in responses(bytes(door.sent)):
        assert GRAMMAR.fullmatch(response), response


async def feed(data: bytes, count: int) -> tuple[PretendDoor, int]:
    door = PretendDoor(MemoryStore())
    session = Session(door, tls=True)
    tracemalloc.start()
    try:
        for _ in range(count):
            if not session.ended:
                await session.receive(data)
                del door.sent[:-200]
        return door, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (b"a NOOP\r\n" * 100, 50),
        (b"(" * 10_000, 1000),
        (b"a LOGIN {1+}\r\nx {1+}\r\ny\r\n", 500),
        (b"a LOGIN {4000+}\r\n" + b"x" * 4000 + b" {4000+}\r\n", 100),
        (b"a AUTHENTICATE PLAIN\r\n" + b"A" * 100_000, 10),
        (b"a X" + b" {0+}\r\n" * 1000, 100),
        (b"\r\n" * 1000, 100),
    ],
    ids=["noops", "parentheses", "logins", "literals", "sasl", "empty-literals", "empty-lines"],
)
def test_a_stranger_cannot_make_us_remember(data: bytes, count: int) -> None:
    door, peak_bytes = asyncio.run(feed(data, count))
    assert peak_bytes < 3_000_000
    assert not door.incidents


@pytest.mark.parametrize("step", [0, 1], ids=["whole", "bytewise"])
def test_bytes_in_the_clear_behind_starttls_are_never_answered(step: int) -> None:
    async def play() -> None:
        door = PretendDoor(MemoryStore())
        session = Session(door, tls=False)
        data = b"a STARTTLS\r\nb NOOP\r\n"
        if step:
            await session.receive(data[:12])
            assert session.tls and door.take() == b"a OK Begin TLS now\r\n"
            return
        with pytest.raises(ConnectionAbortedError):
            await session.receive(data)
        assert session.ended and not session.tls
        assert door.take() == b"a OK Begin TLS now\r\n"

    asyncio.run(play())


@pytest.mark.parametrize(
    "sent",
    [
        b"a APPEND INBOX {100+}\r\nhalf a letter",
        b"a APPEND INBOX {5+}\r\nwhole {100+}\r\nhalf",
        b"a APPEND INBOX {5+}\r\nwhole",
        b"a APPEND INBOX {5+}\r\nwhole nonsense\r\n",
        b"a REPLACE 1 INBOX {100+}\r\nhalf a letter",
    ],
    ids=["half", "second-half", "no-line-end", "nonsense-behind", "replace"],
)
def test_letters_that_never_became_messages_are_discarded(sent: bytes) -> None:
    async def play() -> None:
        store = MemoryStore()
        session = Session(PretendDoor(store), tls=True)
        await session.receive(b"l LOGIN alice secret\r\nx APPEND INBOX {3+}\r\nabc\r\ns SELECT INBOX\r\n")
        kept = len(store.stagings)
        await session.receive(sent)
        await session.close()
        assert len(store.stagings) > kept
        assert all(staging.discarded for staging in store.stagings[kept:])
        assert len((await store.account("alice")).boxes["INBOX"].rows) == 1

    asyncio.run(play())
