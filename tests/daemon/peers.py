"""Mail servers elsewhere, real sockets on loopback, that say what a test wants them to say."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from mailserver_py.daemon.outbound import World
from mailserver_py.daemon.route import Ownership
from mailserver_py.net.connection import Connection
from mailserver_py.net.dial import dial
from mailserver_py.net.resolver import TableResolver
from mailserver_py.net.server import Door, Gate, Server, listen
from mailserver_py.net.stream import Stream
from mailserver_py.net.tls import TlsContexts, opportunistic_context

Script = Mapping[str, str | Callable[[str], str]]
"""Verb (`GREETING` and `END` too) → the reply's text, or a function of the line; `CLOSE` hangs up, `SILENCE`
waits.
"""


class Peer:
    """One server: what it said is by its script, what it took is in `letters`."""

    def __init__(self, script: Script | None = None, *, tls_folder: Path | None = None) -> None:
        self.script = dict(script or {})
        self.letters: list[tuple[str, tuple[str, ...], bytes]] = []
        self.connections_count = 0
        self.tls_count = 0
        self.tls = TlsContexts(tls_folder) if tls_folder is not None else None
        if self.tls is not None:
            self.tls.reload()
        self.port = 0
        self.lines: list[str] = []

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[Peer]:
        sock = listen("127.0.0.1", 0)
        self.port = sock.getsockname()[1]
        server = Server(sock, Door(self.serve, Gate(100, 100), self.tls))
        try:
            yield self
        finally:
            await server.drain(0)

    def answer(self, verb: str, line: str, default: str) -> str:
        scripted = self.script.get(verb, default)
        return scripted(line) if callable(scripted) else scripted

    async def serve(self, connection: Connection) -> None:
        self.connections_count += 1
        reader = Reader(connection)
        sender = ""
        recipients: list[str] = []

        async def say(text: str) -> bool:
            if text == "CLOSE":
                return False
            if text == "SILENCE":
                await asyncio.sleep(60)
            await connection.write(text.encode() + b"\r\n")
            return True

        if not await say(self.answer("GREETING", "", "220 mx.peer.example ESMTP")):
            return
        while line := await reader.line():
            self.lines.append(line)
            verb = line.split(" ")[0].upper()
            default = "250 2.0.0 OK"
            if verb == "EHLO":
                extensions = ["250-mx.peer.example", "250-PIPELINING", "250-8BITMIME", "250-SIZE 0"]
                if connection.can_start_tls:
                    extensions.append("250-STARTTLS")
                default = "\r\n".join([*extensions, "250 ENHANCEDSTATUSCODES"])
            elif verb == "STARTTLS":
                default = "220 2.0.0 go"
            elif verb == "DATA":
                default = "354 go on"
            answer = self.answer(verb, line, default)
            if not await say(answer):
                return
            if verb == "STARTTLS" and answer.startswith("220"):
                await connection.start_tls()
                self.tls_count += 1
            elif verb == "MAIL":
                sender, recipients = line.partition("<")[2].partition(">")[0], []
            elif verb == "RCPT" and answer.startswith("250"):
                recipients.append(line.partition("<")[2].partition(">")[0])
            elif verb == "DATA" and answer.startswith("354"):
                letter = await reader.letter()
                answer = self.answer("END", "", "250 2.0.0 taken")
                if answer.startswith("250"):
                    self.letters.append((sender, tuple(recipients), letter))
                if not await say(answer):
                    return
            elif verb == "QUIT":
                return


class Reader:
    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.held = b""

    async def until(self, end: bytes) -> bytes:
        while end not in self.held:
            data = await self.connection.read(5)
            if not data:
                return b""
            self.held += data
        found, _, self.held = self.held.partition(end)
        return found

    async def line(self) -> str:
        return (await self.until(b"\r\n")).decode()

    async def letter(self) -> bytes:
        return (await self.until(b"\r\n.\r\n") + b"\r\n").replace(b"\r\n..", b"\r\n.")


def outside(records: Mapping[tuple[str, str], tuple[str, ...]], peers: Mapping[str, Peer]) -> World:
    """A world of DNS records and of servers by address; other addresses refuse."""

    async def detour(address: str, port: int, *, timeout_s: float, source: str | None = None) -> Stream:
        if address not in peers:
            raise ConnectionRefusedError("nobody there")
        return await dial("127.0.0.1", peers[address].port, timeout_s=timeout_s)

    own = Ownership("mx1.lab.test", allow_loopback=True)
    return World(TableResolver(records), detour, opportunistic_context(), own, lambda names: names.sort())
