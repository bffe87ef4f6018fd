"""Plays a written conversation against sessions: the lines of a transcript file are the test.

    C: a LOGIN alice secret        what the client sends, CRLF added
    S: a OK … Logged in            what the server must send; `…` stands for anything
    C2: / S2:                      a second client on the same account
    @ letter plain \\Seen           a named letter arrives in INBOX
    @ clear                        the first client has no TLS (must come first)
    # a comment

After each block of client lines every session in IDLE is told that something changed, as the daemon does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mailserver_py.imap.session import Session
from mailserver_py.mailstore.port import Account, Staging
from mailserver_py.mailstore.values import NewMessage
from mailserver_py.wire.sasl import Claim, Keys, Proof, Terms
from mailserver_py.wire.sasl.keys import derive_keys

from .letters import LETTERS
from .memory_store import MemoryStore

NOW_S = 1_800_000_000
PASSWORDS = {"alice": "secret", "bob": "hunter2", "bø": "pässword"}
FOLDER = Path(__file__).parent.parent / "transcripts" / "imap"


class AnyStore(Protocol):
    """What a session needs of a store: accounts, and a place for letters."""

    def stage(self) -> Staging: ...

    async def account(self, name: str, quota_bytes: int = 0) -> Account: ...


class PretendDoor:
    """The outside, in memory."""

    def __init__(self, store: AnyStore, quota_bytes: int = 0) -> None:
        self.store = store
        self.sent = bytearray()
        self.incidents: list[BaseException] = []
        self.quota_bytes = quota_bytes
        self.largest_write = 0
        self.pauses_count = 0
        self.terms = Terms()

    async def send(self, data: bytes) -> None:
        self.sent += data
        self.largest_write = max(self.largest_write, len(data))

    async def start_tls(self) -> None:
        pass

    async def sasl_keys(self, user: str) -> tuple[Keys, str]:
        return derive_keys(PASSWORDS.get(user, "nobody's"), b"salt", 4096), "ours"

    async def log_in(self, claim: Claim) -> Account | None:
        right = claim.proven if isinstance(claim, Proof) else PASSWORDS.get(claim.user) == claim.password
        return await self.store.account(claim.user, self.quota_bytes) if right else None

    def log_out(self) -> None:
        pass

    def stage(self) -> Staging:
        return self.store.stage()

    async def pause(self) -> None:
        self.pauses_count += 1

    def now_s(self) -> int:
        return NOW_S

    def incident(self, error: BaseException) -> str:
        self.incidents.append(error)
        return "incident"

    def take(self) -> bytes:
        """What was sent since last time."""
        data = bytes(self.sent)
        self.sent.clear()
        return data


@dataclass
class Block:
    """Lines of one kind that stand together."""

    kind: str
    client: int
    lines: list[str]


def parse(text: str) -> Iterator[Block]:
    block: Block | None = None
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(r"([CS])(\d?): ?(.*)|@ (.*)", line)
        assert match, f"not a transcript line: {line!r}"
        kind, client = (match[1] or "@"), int(match[2] or 1)
        content = match[3] if match[1] else match[4]
        if block is None or (block.kind, block.client) != (kind, client) or kind == "@":
            if block is not None:
                yield block
            block = Block(kind, client, [])
        block.lines.append(content)
    if block is not None:
        yield block


def same(expected: str, seen: str) -> bool:
    pattern = ".*".join(map(re.escape, expected.split("…")))
    return re.fullmatch(pattern, seen, re.DOTALL) is not None


class Play:
    """Runs a transcript, the client's bytes in pieces of `step` (0: a block at once)."""

    def __init__(self, text: str, step: int, store: AnyStore | None = None) -> None:
        self.blocks = list(parse(text))
        self.step = step
        self.store = MemoryStore() if store is None else store
        self.doors: dict[int, PretendDoor] = {}
        self.sessions: dict[int, Session] = {}
        self.tls = True
        self.quota_bytes = 0

    async def session(self, client: int) -> Session:
        if client not in self.sessions:
            door = self.doors[client] = PretendDoor(self.store, self.quota_bytes)
            session = self.sessions[client] = Session(door, tls=self.tls, message_bytes=100_000)
            await session.greet()
            assert door.take().startswith(b"* OK [CAPABILITY IMAP4rev2 IMAP4rev1 ")
            if client > 1:
                await session.receive(b"x LOGIN alice secret\r\n")
                door.take()
        return self.sessions[client]

    async def run(self) -> None:
        for block in self.blocks:
            if block.kind == "@":
                await self._direct(block.lines[0])
            elif block.kind == "C":
                await self._send(block)
            else:
                await self.session(block.client)
                self._compare(block)
        for client, door in self.doors.items():
            assert door.take() == b"", f"client {client} got more than was written down"
            assert not door.incidents

    async def _direct(self, line: str) -> None:
        verb, *words = line.split()
        if verb == "clear":
            self.tls = False
        elif verb == "quota":
            self.quota_bytes = int(words[0])
        elif verb == "letter":
            account = await self.store.account("alice", self.quota_bytes)
            staging = self.store.stage()
            await staging.write(LETTERS[words[0]])
            bits = {"\\Seen": 1, "\\Answered": 2, "\\Flagged": 4, "\\Deleted": 8, "\\Draft": 16}
            flags = sum(bits.get(word, 0) for word in words[1:])
            keywords = " ".join(sorted(word for word in words[1:] if word not in bits))
            message = NewMessage(await staging.finish(), NOW_S - 86_400, flags, keywords)
            await account.append("INBOX", [message])
        elif verb == "damage":
            assert isinstance(self.store, MemoryStore)
            inbox = (await self.store.account("alice")).boxes["INBOX"]
            inbox.rows[int(words[0])].letter = None
        else:
            raise AssertionError(f"no such direction: {line}")
        await self._tell()

    async def _send(self, block: Block) -> None:
        session = await self.session(block.client)
        data = "".join(line + "\r\n" for line in block.lines).encode()
        step = self.step or len(data)
        for start in range(0, len(data), step):
            await session.receive(data[start : start + step])
        await self._tell()

    async def _tell(self) -> None:
        for session in self.sessions.values():
            await session.changed()

    def _compare(self, block: Block) -> None:
        seen = self.doors[block.client].take().decode()
        assert seen.endswith("\r\n") or not seen, seen
        lines = seen.split("\r\n")[:-1]
        for at, expected in enumerate(block.lines):
            assert at < len(lines), f"expected {expected!r}, but nothing more came"
            assert same(expected, lines[at]), f"expected {expected!r}, got {lines[at]!r}"
        assert lines[len(block.lines) :] == [], "more came than was written down"
