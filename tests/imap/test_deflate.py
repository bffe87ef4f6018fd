"""COMPRESS=DEFLATE (RFC 4978): what goes in comes out, at every split, and a bomb is a small burden (promises S37)."""

from __future__ import annotations

import asyncio
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.imap.deflate import CHUNK_BYTES, Deflater, Inflater, TooDense
from mailserver_py.imap.session import Session

from .memory_store import MemoryStore
from .transcript import PretendDoor


class CompressingClient:
    """Speaks compressed to a session, and reads what it answers."""

    def __init__(self) -> None:
        self.door = PretendDoor(MemoryStore())
        self.session = Session(self.door, tls=True, message_bytes=1_000_000)
        self.out = zlib.compressobj(9, zlib.DEFLATED, -15)
        self.into = zlib.decompressobj(-15)

    async def start(self) -> None:
        await self.session.receive(b"l LOGIN alice secret\r\n")
        self.door.take()
        await self.session.receive(b"c COMPRESS deflate\r\n")
        assert self.door.take() == b"c OK DEFLATE active\r\n"

    async def say(self, text: bytes, step: int = 0) -> bytes:
        await self.say_raw(self.out.compress(text) + self.out.flush(zlib.Z_SYNC_FLUSH), step)
        return self.into.decompress(self.door.take())

    async def say_raw(self, data: bytes, step: int = 0) -> None:
        step = step or len(data)
        for start in range(0, len(data), step):
            await self.session.receive(data[start : start + step])


@pytest.mark.parametrize("step", [0, 1, 5], ids=["whole", "bytewise", "fives"])
def test_a_compressed_conversation_goes_like_any_other(step: int) -> None:
    async def play() -> None:
        client = CompressingClient()
        await client.start()
        assert await client.say(b"a NOOP\r\nb COMPRESS DEFLATE\r\n", step) == (
            b"a OK NOOP completed\r\nb BAD Compression is active already\r\n"
        )
        answer = await client.say(b"d APPEND INBOX {6+}\r\nA: b\r\n\r\n", step)
        assert answer.startswith(b"d OK [APPENDUID ")
        assert b"* 1 EXISTS\r\n" in await client.say(b"e SELECT INBOX\r\n", step)
        assert (await client.say(b"f LOGOUT\r\n", step)).endswith(b"f OK LOGOUT completed\r\n")

    asyncio.run(play())


@pytest.mark.parametrize("step", [0, 1], ids=["whole", "bytewise"])
def test_unauthenticate_ends_compression_on_both_sides(step: int) -> None:
    async def play() -> None:
        client = CompressingClient()
        await client.start()
        await client.say_raw(client.out.compress(b"a UNAUTHENTICATE\r\n") + client.out.flush(), step)
        assert client.into.decompress(client.door.take()) == b"a OK UNAUTHENTICATE completed\r\n"
        assert client.into.eof
        await client.say_raw(b"b LOGIN alice secret\r\nc NOOP\r\n", step)
        assert client.door.take().endswith(b"c OK NOOP completed\r\n")

    asyncio.run(play())


def test_a_stream_that_ends_by_itself_ends_the_connection() -> None:
    async def play() -> None:
        client = CompressingClient()
        await client.start()
        await client.say_raw(client.out.flush())
        assert client.into.decompress(client.door.take()).startswith(b"* BYE ")

    asyncio.run(play())


def test_what_is_no_deflate_ends_the_connection() -> None:
    async def play() -> None:
        client = CompressingClient()
        await client.start()
        await client.say_raw(b"\xff" * 100)
        assert client.session.ended and not client.door.incidents

    asyncio.run(play())


def test_bytes_pipelined_behind_compress_end_the_connection() -> None:
    async def play() -> None:
        door = PretendDoor(MemoryStore())
        session = Session(door, tls=True)
        await session.receive(b"l LOGIN alice secret\r\n")
        with pytest.raises(ConnectionAbortedError):
            await session.receive(b"c COMPRESS DEFLATE\r\nd NOOP\r\n")
        assert session.ended and b"d OK" not in door.take()

    asyncio.run(play())


BOMBS = {
    "endless-line": b"x" * 50_000_000,
    "endless-commands": b'a ID ("name" "%b")\r\n' % (b"x" * 1000) * 50_000,
    "literal-too-large": b"a APPEND INBOX {90000000+}\r\n" + b"x" * 50_000_000,
    "letters": (b"a APPEND INBOX {900000+}\r\n" + b"x" * 900_000 + b"\r\n") * 20
    + b'b ID ("name" "%b")\r\n' % (b"x" * 1000) * 20_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_little_memory_and_ends(name: str) -> None:
    async def play() -> int:
        client = CompressingClient()
        client.door.quota_bytes = 2_000_000
        await client.start()
        bomb = client.out.compress(BOMBS[name]) + client.out.flush(zlib.Z_SYNC_FLUSH)
        assert len(bomb) < len(BOMBS[name]) / 300
        tracemalloc.start()
        try:
            await client.session.receive(bomb)
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert client.session.ended and not client.door.incidents
        return peak_bytes

    assert asyncio.run(play()) < 12_000_000


def test_others_get_their_turn_while_much_is_inflated() -> None:
    async def play() -> None:
        client = CompressingClient()
        await client.start()
        await client.say(b"a NOOP\r\n" * 40_000)
        assert client.door.pauses_count == 40_000 * 8 // CHUNK_BYTES

    asyncio.run(play())


@given(st.lists(st.binary(max_size=300)), st.integers(1, 50))
def test_inflating_undoes_deflating_at_every_split(pieces: list[bytes], step: int) -> None:
    deflater, inflater = Deflater(), Inflater()
    packed = b"".join(map(deflater.deflate, pieces)) + deflater.end()
    seen = b"".join(
        piece for at in range(0, len(packed), step) for piece in inflater.inflate(packed[at : at + step])
    )
    assert seen == b"".join(pieces) and inflater.ended


def test_no_piece_is_larger_than_a_read() -> None:
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = packed.compress(b"x" * 1_000_000) + packed.flush()
    inflater = Inflater()
    sizes = [len(piece) for piece in inflater.inflate(data)]
    assert sum(sizes) == 1_000_000 and max(sizes) == CHUNK_BYTES
    inflater.count(b"x" * 500_000)
    with pytest.raises(TooDense):
        inflater.count(b"x" * 1_000_000)
