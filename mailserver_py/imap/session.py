"""One IMAP session: states, dispatch, and the telling of updates. RFC 9051 §3, §5, §7. No sockets, no clock, no log.

Bytes come in by `receive`, which returns when every complete command in them was answered; answers leave by the door.
Commands are run one after the other in the order they came (RFC 9051 §5.5 allows no less). Between two calls the
session waits in one of three ways: for a command, for a line that belongs to a running command (`line_wanted`:
AUTHENTICATE's responses, IDLE's DONE), or, in IDLE, for `changed`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from ..errors import WorldError
from ..mailstore.port import Account
from ..mailstore.values import StoreError, StoreUnavailable
from . import commands, intake, telling
from .capabilities import list_capabilities
from .commands.shape import Command, State, Updates
from .contexts import Contexts
from .cursor import Cursor
from .deflate import CHUNK_BYTES, Deflater, Inflater, TooDense
from .door import Door
from .reader import (
    AFTER_LOGIN_LITERAL_BYTES,
    CommandRead,
    Limits,
    LiteralAsked,
    MessageAsked,
    MessageData,
    Reader,
    Unreadable,
)
from .replies import Refused, Reply, bad, refusal_of
from .selected import Selected
from .upload import Upload

BAD_COMMANDS_MAX_COUNT = 10
"""Bad commands in a row before the connection ends: a program that speaks another protocol never stops by itself."""
LOGIN_FAILURES_MAX_COUNT = 5
"""Refused logins before the connection ends; the door delays each of them as well."""

IMPLIED: dict[bytes, tuple[bytes, ...]] = {b"QRESYNC": (b"CONDSTORE",)}
"""What else is enabled by enabling a name (RFC 7162 §3.2.3)."""

APPEND_FACTOR = 4
"""Letters of one MULTIAPPEND together may be so many times the largest letter."""

_HTTP = re.compile(rb"[A-Z]{3,10} \S{1,8000} HTTP/[0-9.]{1,4}\Z")

LineTaker = Callable[[bytes], Awaitable[Reply | None]]
"""Takes a line for a running command; a Reply ends the command."""


class Session:
    """The core of one connection."""

    def __init__(self, door: Door, *, tls: bool, message_bytes: int = 26_214_400) -> None:
        self.door = door
        self.tls = tls
        self.account: Account | None = None
        self.selected: Selected | None = None
        self.contexts = Contexts()
        """Searches whose results are followed (RFC 5267)."""
        self.enabled: set[bytes] = set()
        self.ended = False
        self.idling = False
        """The client is in IDLE; `changed` may be called."""
        self.upload = Upload()
        """Letters of the APPEND that is being read or run."""
        self.message_bytes = message_bytes
        self.append_bytes = APPEND_FACTOR * message_bytes
        self._reader = Reader(Limits(), self._streams)
        self._deflater: Deflater | None = None
        self._inflater: Inflater | None = None
        self._tag = b""
        self._line_taker: LineTaker | None = None
        self._bad_count = 0
        self._login_failures_count = 0

    # --- what others see

    @property
    def state(self) -> State:
        """Where the session stands (RFC 9051 §3)."""
        if self.selected is not None:
            return State.SELECTED
        return State.NOT_AUTHENTICATED if self.account is None else State.AUTHENTICATED

    @property
    def utf8(self) -> bool:
        """Mailbox names and quoted strings are UTF-8 (RFC 9051 §A, RFC 6855 §3)."""
        return b"IMAP4REV2" in self.enabled or b"UTF8=ACCEPT" in self.enabled

    @property
    def rev2(self) -> bool:
        """The client has enabled IMAP4rev2."""
        return b"IMAP4REV2" in self.enabled

    @property
    def tag(self) -> bytes:
        """Tag of the running command."""
        return self._tag

    @property
    def midway(self) -> bool:
        """A command has begun and is not whole: its deadline runs."""
        return self._reader.midway

    @property
    def in_message(self) -> bool:
        """A letter is streaming in; what of it has come counts towards its deadline."""
        return self.upload.in_letter

    @property
    def compressed(self) -> bool:
        """COMPRESS is active (RFC 4978)."""
        return self._inflater is not None

    async def send(self, data: bytes) -> None:
        """Writes responses."""
        if data:
            await self.door.send(self._deflater.deflate(data) if self._deflater else data)

    def box(self) -> Selected:
        """The selected mailbox; commands of the selected state may ask."""
        if self.selected is None:
            raise bad(b"No mailbox is selected")
        return self.selected

    def owner(self) -> Account:
        """The account; commands after login may ask."""
        if self.account is None:
            raise bad(b"Log in first")
        return self.account

    # --- life

    async def greet(self) -> None:
        """The greeting, with capabilities (RFC 9051 §7.1)."""
        await self.send(b"* OK [CAPABILITY %b] Ready\r\n" % self.capabilities())

    def capabilities(self) -> bytes:
        """What CAPABILITY says now."""
        return b" ".join(
            list_capabilities(
                self.state, tls=self.tls, message_bytes=self.message_bytes, terms=self.door.terms
            )
        )

    async def farewell(self, text: bytes, code: bytes = b"") -> None:
        """BYE, and the end."""
        self.ended = True
        await self.send(Reply(b"BYE", text, code).serialize(b"*"))

    async def close(self) -> None:
        """Lets go of a half-received letter; no changes are made (RFC 9051 §5.4: no expunge on a lost connection)."""
        self.ended = True
        await self.upload.forget()

    def logged_in(self, account: Account) -> None:
        """From now on it is this account's session."""
        self.account = account
        self._reader.limits = dataclasses.replace(
            self._reader.limits, literal_bytes=AFTER_LOGIN_LITERAL_BYTES
        )

    async def log_out(self) -> None:
        """Nobody's session again, as it was after the greeting, once the client was told (RFC 8437 §3)."""
        if self._deflater is not None:
            # The client ends its own stream as well; `receive` sees where.
            await self.door.send(self._deflater.end())
            self._deflater = None
        self.account = self.selected = None
        self.enabled = set()
        self._reader.limits = Limits()
        self.door.log_out()

    def compress(self) -> None:
        """From here on everything is compressed; nothing else may have been sent before our OK (RFC 4978 §3)."""
        if self._reader.buffered_bytes:
            self.ended = True
            raise ConnectionAbortedError("bytes not compressed after COMPRESS")
        self._deflater, self._inflater = Deflater(), Inflater()

    async def start_tls(self) -> None:
        """TLS begins; nothing said in the clear may be left (RFC 9051 §6.2.1)."""
        if self._reader.buffered_bytes:
            self.ended = True
            raise ConnectionAbortedError("bytes in the clear after STARTTLS")
        await self.door.start_tls()
        self.tls = True

    async def enable(self, name: bytes) -> None:
        """An extension is on from now on (RFC 9051 §6.3.1). The first time that CONDSTORE is, a client with a mailbox
        learns where it stands (RFC 7162 §3.1)."""
        names = {name, *IMPLIED.get(name, ())} - self.enabled
        self.enabled |= names
        if self.selected is not None and names:
            self._set_manner(self.selected)
            if b"CONDSTORE" in names:
                await self.send(self.selected.serialize_highest_modseq())

    def _set_manner(self, box: Selected) -> None:
        box.with_modseq = b"CONDSTORE" in self.enabled
        box.uid_only = b"UIDONLY" in self.enabled
        box.vanishing = b"QRESYNC" in self.enabled or box.uid_only

    def select(self, box: Selected) -> None:
        """The selected state begins."""
        self._set_manner(box)
        self.selected = box
        self.contexts = Contexts()

    def deselect(self) -> None:
        """Back to the authenticated state."""
        self.selected = None

    def want_lines(self, taker: LineTaker) -> None:
        """The running command goes on with the client's next lines."""
        self._line_taker = taker

    # --- input

    async def receive(self, data: bytes) -> None:
        """Takes bytes and answers all that is complete."""
        if self._inflater is None:
            await self._take(data)
            return
        try:
            for piece in self._inflater.inflate(data):
                if not self.upload.in_letter:
                    self._inflater.count(piece)
                await self._take(piece)
                if self.ended:
                    return
                if len(piece) == CHUNK_BYTES:
                    await self.door.pause()
        except TooDense:
            await self.farewell(b"That is no client's compression")
            return
        if self._inflater.ended:
            if self._deflater is not None:
                await self.farewell(b"The compressed stream has ended")
                return
            rest, self._inflater = self._inflater.rest, None
            await self._take(rest)

    async def _take(self, data: bytes) -> None:
        self._reader.feed(data)
        while not self.ended:
            if self._line_taker is not None:
                line = self._reader.next_line()
                if line is None:
                    return
                await self._take_line(line)
                continue
            event = self._reader.next_event()
            if event is None:
                return
            match event:
                case CommandRead(command):
                    await self._command(command)
                case LiteralAsked():
                    await self.send(b"+ Go on\r\n")
                case MessageAsked():
                    await intake.ask(self, self._reader, event)
                case MessageData(chunk, last):
                    await self.upload.take(chunk, last=last)
                case Unreadable():
                    await self._unreadable(event)

    async def changed(self, mailbox_ids: Collection[int] = ()) -> None:
        """In IDLE: something happened in the account, tell it (RFC 9051 §6.3.13).

        `mailbox_ids`: where, when that is known; 0 among them means that it is not.
        """
        if not self.idling or self.selected is None:
            return
        if not mailbox_ids or 0 in mailbox_ids or self.selected.mailbox.mailbox_id in mailbox_ids:
            await self.tell(expunges=True)

    async def _take_line(self, line: bytes | Unreadable) -> None:
        if isinstance(line, Unreadable):
            await self.farewell(line.reason)
            return
        taker = self._line_taker
        assert taker is not None
        await self._finish(lambda: taker(line), Updates.ALL if self.idling else Updates.NONE)

    async def _unreadable(self, event: Unreadable) -> None:
        await self.upload.forget()
        if event.reason:
            match = commands.TAG.match(event.data)
            await self._bad(Reply(b"BAD", event.reason), match[0] if match else b"*")
        if event.fatal:
            await self.farewell(event.reason)

    async def _bad(self, reply: Reply, tag: bytes) -> None:
        await self.send(reply.serialize(tag))
        self._bad_count += 1
        if self._bad_count >= BAD_COMMANDS_MAX_COUNT:
            await self.farewell(b"Too many bad commands")

    # --- commands

    def find(self, data: bytes) -> tuple[bytes, Command[Any], Cursor]:
        """Tag, command and the cursor behind its verb. Raises Refused."""
        return commands.read_command(data, utf8=self.utf8)

    def _streams(self, prefix: bytes) -> bool:
        """Whether the literal announced at the end of `prefix` is a letter."""
        if self.account is None:
            return False
        try:
            _, command, cursor = self.find(prefix)
            return command.streams is not None and command.streams(cursor)
        except Refused:
            return False

    async def _command(self, data: bytes) -> None:
        if _HTTP.match(data):
            await self.farewell(b"This is not a web server")
            return
        match = commands.TAG.match(data)
        self._tag = match[0] if match else b"*"
        try:
            self._tag, command, cursor = self.find(data)
            if not command.states & self.state:
                raise bad(b"The command is not allowed in this state")
            if command.numbered and not cursor.uid and b"UIDONLY" in self.enabled:
                raise bad(b"Only UIDs are used here", b"UIDREQUIRED")
            request = command.parse(cursor)
        except Refused as refused:
            await self.upload.forget()
            await self.refuse(refused.reply)
            return
        if self.selected is not None and command.verb != b"FETCH":
            self.selected.kept = None
        updates = command.updates
        if updates is Updates.NO_EXPUNGE and cursor.uid:
            updates = Updates.ALL
        await self._finish(lambda: command.run(self, request), updates)
        await self.upload.forget()

    async def refuse(self, reply: Reply, tag: bytes = b"") -> None:
        """Sends a tagged refusal; bad commands are counted."""
        self._tag = tag or self._tag
        if reply.status == b"BAD":
            await self._bad(reply, self._tag)
        else:
            await self.send(reply.serialize(self._tag))

    async def _finish(self, step: Callable[[], Awaitable[Reply | None]], updates: Updates) -> None:
        """Runs a command, or its next line, and ends it when it has a reply."""
        try:
            reply = await step()
        except Refused as refused:
            reply = refused.reply
        except StoreError as error:
            reply = refusal_of(error)
        except WorldError:
            reply = refusal_of(StoreUnavailable())
        except (ConnectionError, TimeoutError):
            raise
        except Exception as error:  # a bug of ours ends this command, not the process (house §7)
            reply = Reply(
                b"NO",
                b"A fault of this server, incident %b" % self.door.incident(error).encode(),
                b"SERVERBUG",
            )
        if reply is None:
            return
        self._line_taker = None
        self.idling = False
        if updates is not Updates.NONE and not self.ended:
            await self.tell(expunges=updates is Updates.ALL)
        if self.ended and reply.status != b"OK":
            return
        if reply.status == b"BAD":
            await self._bad(reply, self._tag)
            return
        self._bad_count = 0
        await self.send(reply.serialize(self._tag))

    async def tell(self, *, expunges: bool) -> None:
        """Asks the store for news of the selected mailbox and tells them."""
        await telling.tell(self, expunges=expunges)

    async def login_failed(self) -> Reply:
        """The refusal of a login; after too many of them the connection ends."""
        self._login_failures_count += 1
        reply = Reply(b"NO", b"Wrong address or password", b"AUTHENTICATIONFAILED")
        if self._login_failures_count >= LOGIN_FAILURES_MAX_COUNT:
            await self.send(reply.serialize(self._tag))
            await self.farewell(b"Too many refused logins")
        return reply
