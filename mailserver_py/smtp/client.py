"""The client's side of a session: RFC 5321, a decision core that says what to send next and when it is done.

    session = ClientSession("mx1.example", StartTls.WHEN_OFFERED)
    loop:  event = session.next_event()
           NEED_DATA → send data_to_send(), session.receive(what came, b"" at the end)
           READY → session.start(envelope) or session.quit();  LETTER_WANTED → session.send_letter(...) …
           Sent, Failed → the outcome

Whatever the peer says, the outcome is a value. Nothing of it is trusted: replies that came in the clear
behind STARTTLS end the connection (promises S03), credentials go over TLS alone, addresses are checked before
they become part of a command.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field

from mailserver_py.wire.sasl import plain_response

from .client_events import (
    CLIENT_CLOSED,
    CLIENT_LETTER_WANTED,
    CLIENT_NEED_DATA,
    CLIENT_READY,
    CLIENT_START_TLS,
    STAGE_TIMEOUT_S,
    ClientEvent,
    Envelope,
    Failed,
    Sent,
    Stage,
    StartTls,
)
from .letter_writer import LetterWriter
from .limits import PIPELINED_COUNT
from .paths import parse_path
from .replies import Reply, reply
from .reply_reader import BrokenReply, ReplyReader

BAD_ADDRESS = reply(553, "5.1.3", "bad address syntax, not sent")
NO_SMTPUTF8 = reply(550, "5.6.7", "the next server does not take non-ASCII addresses or headers (SMTPUTF8)")
TOO_BIG_THERE = reply(552, "5.3.4", "the letter is bigger than the next server takes")
"""Said by us in the peer's place, before anything is sent."""


@dataclass(frozen=True, slots=True)
class ClientLogin:
    """Credentials; sent over TLS alone."""

    user: str
    password: str = field(repr=False)


class ClientSession:
    """One connection, for any number of letters."""

    def __init__(
        self,
        hello_name: str,
        start_tls: StartTls,
        *,
        login: ClientLogin | None = None,
        tls_active: bool = False,
    ) -> None:
        self._hello_name = hello_name
        self._start_tls = start_tls
        self._login = login
        self.tls_active = tls_active
        self.stage = Stage.GREETING
        self.extensions: dict[str, str] = {}
        """EHLO keywords in upper case, with their arguments; of this TLS layer."""
        self.greeting = ""
        self._in = ReplyReader()
        self._out: list[bytes] = []
        self._eof = False
        self._login_lines: list[bytes] = []
        self._envelope = Envelope("", ())
        self._replies: list[Reply | None] = []
        self._to_ask: list[int] = []
        """Recipients, by position, whose RCPT is still to be sent."""
        self._asked: list[int] = []
        """Recipients whose reply is awaited, in order."""
        self._writer = LetterWriter()

    # ---- the owner's side

    @property
    def timeout_s(self) -> int:
        """How long to wait for the next bytes at this stage."""
        return STAGE_TIMEOUT_S[self.stage]

    def receive(self, data: bytes) -> None:
        """Takes what came; `b""` says that nothing more will."""
        if data:
            self._in.feed(data)
        else:
            self._eof = True

    def data_to_send(self) -> bytes:
        """What is to be sent now; each octet is handed out once."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def next_event(self) -> ClientEvent:
        """The next thing to do."""
        while True:
            turn = _OWNERS_TURN.get(self.stage)
            if turn is not None and (self.stage is Stage.CLOSED or not (self._eof or len(self._in))):
                return turn
            if self.stage is Stage.SETTLED:
                return self._settled()
            answer = self._in.next_reply()
            if answer is None:
                return self._starved()
            if isinstance(answer, BrokenReply):
                return self._fail(answer.why)
            if answer.code == 421:
                return self._fail("the server closes", answer)
            event = _STEPS[self.stage](self, answer)
            if event is not None:
                return event

    def tls_started(self) -> None:
        """The handshake is done; all that was learned before it is forgotten (RFC 3207 §4.2)."""
        self._in.clear()
        self.tls_active = True
        self._say_hello()

    def start(self, envelope: Envelope) -> None:
        """Offers a letter; only when READY."""
        assert self.stage is Stage.READY
        self._envelope = envelope
        self._writer = LetterWriter()
        self._replies = [
            None if _is_path(path, null_allowed=False) else BAD_ADDRESS for path in envelope.recipients
        ]
        self._to_ask = [at for at, answer in enumerate(self._replies) if answer is None]
        self._asked = []
        self.stage = Stage.MAIL
        refusal = self._refusal_of_all()
        if refusal is not None or not self._to_ask:
            self._settle_waiting(refusal)
            self.stage = Stage.SETTLED
            return
        self._out.append(self._mail_command().encode())
        if "PIPELINING" in self.extensions:
            self._ask_recipients(PIPELINED_COUNT)

    def send_letter(self, chunk: bytes) -> None:
        """The next octets of the letter, of any size."""
        assert self.stage is Stage.LETTER
        self._out.append(self._writer.write(chunk))

    def end_letter(self) -> None:
        """The letter is whole."""
        assert self.stage is Stage.LETTER
        self._out.append(self._writer.finish())
        self.stage = Stage.END_OF_LETTER

    def quit(self) -> None:
        """Says goodbye; CLOSED follows its reply."""
        self._send("QUIT", Stage.QUIT)

    # ---- steps: what a reply means at each stage

    def _greeted(self, answer: Reply) -> ClientEvent | None:
        if answer.code != 220:
            return self._fail("refused at the greeting", answer)
        self.greeting = answer.lines[0]
        self._say_hello()
        return None

    def _hello_said(self, answer: Reply) -> ClientEvent | None:
        if answer.permanent and self.stage is Stage.HELLO:
            # An old server, or a broken one, that does not know EHLO (RFC 5321 §3.2).
            self._send(f"HELO {self._hello_name}", Stage.HELLO_OLD)
            return None
        if answer.code != 250:
            return self._fail("refused at EHLO", answer)
        if self.stage is Stage.HELLO:
            for line in answer.lines[1:]:
                keyword, _, arguments = line.partition(" ")
                self.extensions[keyword.upper()] = arguments
        if self.tls_active or self._start_tls is StartTls.NEVER:
            return self._authenticate()
        if "STARTTLS" in self.extensions:
            self._send("STARTTLS", Stage.START_TLS)
            return None
        return self._without_tls(None)

    def _start_tls_said(self, answer: Reply) -> ClientEvent | None:
        if answer.code != 220:
            return self._without_tls(answer)
        if len(self._in):
            return self._fail("bytes in the clear behind the answer to STARTTLS")
        self.stage = Stage.TLS
        return None

    def _without_tls(self, answer: Reply | None) -> ClientEvent | None:
        if self._start_tls is StartTls.REQUIRED:
            self.stage = Stage.START_TLS
            return self._fail("TLS is required and not to be had", answer)
        return self._authenticate()

    def _authenticate(self) -> ClientEvent | None:
        if self._login is None:
            self.stage = Stage.READY
            return None
        self.stage = Stage.AUTH
        if not self.tls_active:
            return self._fail("no TLS, so no password is sent")
        mechanisms = self.extensions.get("AUTH", "").upper().split()
        user, password = self._login.user, self._login.password
        if "PLAIN" in mechanisms:
            self._send(f"AUTH PLAIN {b64encode(plain_response(user, password)).decode()}", Stage.AUTH)
        elif "LOGIN" in mechanisms:
            self._login_lines = [_base64(user), _base64(password)]
            self._send("AUTH LOGIN", Stage.AUTH)
        else:
            return self._fail("the server offers no login that we know")
        return None

    def _auth_said(self, answer: Reply) -> ClientEvent | None:
        if answer.code == 235:
            self.stage = Stage.READY
            return None
        if answer.code == 334 and self._login_lines:
            self._out.append(self._login_lines.pop(0))
            return None
        return self._fail("login refused", answer)

    def _mail_said(self, answer: Reply) -> ClientEvent | None:
        if answer.code // 100 == 3:
            return self._fail("a reply that MAIL cannot have", answer)
        self.stage = Stage.RCPT
        if not answer.positive:
            self._settle_waiting(answer)
            self._to_ask.clear()
            if not self._asked:
                return self._settled()
            # The pipelined RCPTs will be refused too; those replies say nothing new.
        elif not self._asked:
            self._ask_recipients(1)
        return None

    def _rcpt_said(self, answer: Reply) -> ClientEvent | None:
        at = self._asked.pop(0)
        if answer.code // 100 == 3:
            return self._fail("a reply that RCPT cannot have", answer)
        if self._replies[at] is None and not answer.positive:
            self._replies[at] = answer
        if self._asked:
            return None
        if self._to_ask:
            self._ask_recipients(PIPELINED_COUNT if "PIPELINING" in self.extensions else 1)
        elif None in self._replies:
            self._send("DATA", Stage.DATA)
        else:
            self._send("RSET", Stage.RSET)
        return None

    def _data_said(self, answer: Reply) -> ClientEvent | None:
        if answer.code == 354:
            self.stage = Stage.LETTER
        elif answer.positive:
            return self._fail("a reply that DATA cannot have", answer)
        else:
            self._settle_waiting(answer)
            self._send("RSET", Stage.RSET)
        return None

    def _letter_said(self, answer: Reply) -> ClientEvent | None:
        if answer.code // 100 == 3:
            return self._fail("a reply that a letter cannot have", answer)
        self._settle_waiting(answer)
        return self._settled()

    def _reset_said(self, answer: Reply) -> ClientEvent | None:
        del answer
        return self._settled()

    def _unasked(self, answer: Reply) -> ClientEvent | None:
        return self._fail("a reply to nothing", answer)

    def _quit_said(self, answer: Reply) -> ClientEvent | None:
        del answer
        self.stage = Stage.CLOSED
        return None

    # ---- what it does and says

    def _say_hello(self) -> None:
        self.extensions.clear()
        self._send(f"EHLO {self._hello_name}", Stage.HELLO)

    def _send(self, command: str, stage: Stage) -> None:
        self._out.append(command.encode() + b"\r\n")
        self.stage = stage

    def _ask_recipients(self, limit_count: int) -> None:
        self._asked, self._to_ask = self._to_ask[:limit_count], self._to_ask[limit_count:]
        recipients = self._envelope.recipients
        self._out.append("".join(f"RCPT TO:<{recipients[at]}>\r\n" for at in self._asked).encode())

    def _mail_command(self) -> str:
        words = [f"MAIL FROM:<{self._envelope.reverse_path}>"]
        if self._envelope.size_bytes and "SIZE" in self.extensions:
            words.append(f"SIZE={self._envelope.size_bytes}")
        if self._envelope.eight_bit and "8BITMIME" in self.extensions:
            words.append("BODY=8BITMIME")
        # Deviation: RFC 6152 §3 would have us recode an 8-bit letter for a server without 8BITMIME, which
        # breaks its signatures. It goes as it is: every such server met so far passes eight bits on.
        if self._needs_smtputf8():
            words.append("SMTPUTF8")
        return " ".join(words) + "\r\n"

    def _needs_smtputf8(self) -> bool:
        paths = (self._envelope.reverse_path, *self._envelope.recipients)
        return self._envelope.smtputf8 or not all(path.isascii() for path in paths)

    def _refusal_of_all(self) -> Reply | None:
        """What keeps the letter from being offered at all."""
        if not _is_path(self._envelope.reverse_path, null_allowed=True):
            return BAD_ADDRESS
        if self._needs_smtputf8() and "SMTPUTF8" not in self.extensions:
            return NO_SMTPUTF8
        limit = self.extensions.get("SIZE", "")
        if limit.isascii() and limit.isdigit() and 0 < int(limit[:20]) < self._envelope.size_bytes:
            return TOO_BIG_THERE
        return None

    def _settle_waiting(self, answer: Reply | None) -> None:
        """The same answer for every recipient that has none yet."""
        self._replies = [answer if known is None else known for known in self._replies]

    def _settled(self) -> Sent:
        self.stage = Stage.READY
        return Sent(tuple(answer for answer in self._replies if answer is not None))

    def _starved(self) -> ClientEvent:
        if not self._eof:
            return CLIENT_NEED_DATA
        if self.stage is Stage.QUIT:
            self.stage = Stage.CLOSED
            return CLIENT_CLOSED
        return self._fail("the connection was lost")

    def _fail(self, why: str, answer: Reply | None = None) -> Failed:
        failed = Failed(
            stage=self.stage,
            why=f"{why}: {answer.render()}" if answer is not None else why,
            reply=answer,
            replies=tuple(self._replies) if self.stage in _IN_A_LETTER else (),
        )
        self.stage = Stage.CLOSED
        return failed


def _is_path(path: str, *, null_allowed: bool) -> bool:
    parsed = parse_path(f"<{path}>", null_allowed=null_allowed)
    return parsed is not None and not parsed[1]


def _base64(text: str) -> bytes:
    return b64encode(text.encode()) + b"\r\n"


_IN_A_LETTER = frozenset(
    (Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.LETTER, Stage.END_OF_LETTER, Stage.RSET, Stage.SETTLED)
)

_OWNERS_TURN: dict[Stage, ClientEvent] = {
    Stage.READY: CLIENT_READY,
    Stage.TLS: CLIENT_START_TLS,
    Stage.LETTER: CLIENT_LETTER_WANTED,
    Stage.CLOSED: CLIENT_CLOSED,
}
"""Stages in which the peer has nothing to say; if it does, or is gone, the session has failed."""

_STEPS: dict[Stage, Callable[[ClientSession, Reply], ClientEvent | None]] = {
    Stage.GREETING: ClientSession._greeted,
    Stage.HELLO: ClientSession._hello_said,
    Stage.HELLO_OLD: ClientSession._hello_said,
    Stage.START_TLS: ClientSession._start_tls_said,
    Stage.TLS: ClientSession._unasked,
    Stage.AUTH: ClientSession._auth_said,
    Stage.READY: ClientSession._unasked,
    Stage.MAIL: ClientSession._mail_said,
    Stage.RCPT: ClientSession._rcpt_said,
    Stage.DATA: ClientSession._data_said,
    Stage.LETTER: ClientSession._unasked,
    Stage.END_OF_LETTER: ClientSession._letter_said,
    Stage.RSET: ClientSession._reset_said,
    Stage.QUIT: ClientSession._quit_said,
}
