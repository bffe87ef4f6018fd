"""Drives a server session by bytes, with an owner that says yes unless told otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from mailserver_py.smtp import events, replies
from mailserver_py.smtp.events import Event
from mailserver_py.smtp.extensions import Role
from mailserver_py.smtp.limits import ServerLimits
from mailserver_py.smtp.replies import Reply
from mailserver_py.smtp.server import ServerSession
from mailserver_py.wire.sasl import Credentials

Owner = Callable[[Event], Reply]


def yes(event: Event) -> Reply:
    """The friendliest owner."""
    if event is events.LETTER_WANTED:
        return replies.SEND_LETTER
    if isinstance(event, events.Login):
        return (
            replies.AUTHENTICATED
            if isinstance(event.claim, Credentials) and event.claim.password == "secret"
            else replies.BAD_CREDENTIALS
        )
    return replies.OK


@dataclass
class Talk:
    """One session with its owner."""

    role: Role = Role.MX
    tls: bool = False
    owner: Owner = yes
    limits: ServerLimits = field(default_factory=lambda: ServerLimits(1_000, 3))
    seen: list[Event] = field(default_factory=list)
    said: bytes = b""
    letters: list[bytes] = field(default_factory=list)
    closed: bool = False

    def __post_init__(self) -> None:
        self.session = ServerSession("mx.test", self.role, self.limits, tls_active=self.tls)
        self._letter = b""
        self.run()

    def feed(self, chunks: Iterable[bytes]) -> None:
        for chunk in chunks:
            if self.closed:
                return
            self.session.receive(chunk)
            self.run()

    def say(self, line: bytes) -> bytes:
        """Sends a line; what is answered to it."""
        before = len(self.said)
        self.feed([line + b"\r\n"])
        return self.said[before:]

    def run(self) -> None:
        while True:
            event = self.session.next_event()
            if event is events.NEED_DATA:
                break
            if isinstance(event, events.LetterChunk):
                self._letter += event.data
                continue
            self.seen.append(event)
            if isinstance(event, events.Closed):
                self.closed = True
                break
            if event is events.START_TLS:
                self.said += self.session.data_to_send()
                self.session.tls_started()
            elif isinstance(event, events.LetterRefused):
                self._letter = b""
            else:
                if event is events.LETTER_END:
                    self.letters.append(self._letter)
                    self._letter = b""
                self.session.reply(self.owner(event))
        self.said += self.session.data_to_send()

    @property
    def codes(self) -> list[int]:
        """The code of every reply so far, the greeting included."""
        return [int(line[:3]) for line in self.said.split(b"\r\n") if line[3:4] == b" "]


def chunks_of(data: bytes, size: int) -> Iterable[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))
