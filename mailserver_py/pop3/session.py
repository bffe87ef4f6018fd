"""The server's side of a POP3 session: RFC 1939, fed with octets, asked for events.

    session = ServerSession("mx1.example", tls_active=True)
    loop:  event = session.next_event()
           NEED_DATA → send data_to_send(), session.receive(what came, b"" at the end)
           an event that wants an answer → its method
           Closed → send data_to_send(), close

Answers gather until more input is needed, so a pipelined group is answered in one write (RFC 2449 §6.6).
"""

from __future__ import annotations

from collections.abc import Sequence

from mailserver_py.wire.lines import BareLineEnding, LineBuffer, LineTooLong
from mailserver_py.wire.sasl import (
    SASL_LINE_BYTES,
    Challenge,
    Credentials,
    Keys,
    KeysWanted,
    Refusal,
    Refused,
    SaslServer,
    Step,
    Terms,
)

from . import replies
from .commands import COMMANDS, State
from .events import Closed, Event, Login, SaslKeys, Signal
from .maildrop import Maildrop
from .replies import Reply

COMMAND_LINE_BYTES = 510
"""RFC 2449 §4 allows 255 octets with the CRLF; long UTF-8 names and passwords (RFC 6856 §2.2) need a
little more."""

BAD_COMMAND_COUNT = 10
"""After this many a client is broken or hostile."""

FAILED_LOGIN_COUNT = 5
"""Then a client that guesses has to connect again."""

SKIPPED_BYTES = 1_048_576
"""How much of over-long lines is read and thrown away before the connection ends instead."""

_HTTP_VERBS = frozenset(
    ("GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "DELETE", "PATCH", "TRACE", "PRI")
)
"""A browser made to speak to us (the ALPACA attacks): its headers are not to be read as commands."""

_SASL_REPLIES = {
    Refusal.UNKNOWN_MECHANISM: replies.UNKNOWN_MECHANISM,
    Refusal.CANCELLED: replies.CANCELLED,
    Refusal.NOT_BASE64: replies.NOT_BASE64,
    Refusal.MALFORMED: replies.MALFORMED_SASL,
}

_NO_MAILDROP = Maildrop(0, ())


class ServerSession:
    """One connection, from greeting to end."""

    def __init__(
        self,
        hostname: str,
        *,
        tls_active: bool = False,
        tls_available: bool = True,
        terms: Terms | None = None,
    ) -> None:
        self.tls_active: bool = tls_active
        self.tls_available: bool = tls_available
        self.terms: Terms = terms or Terms()
        """What SASL may offer; `tls_started` brings those of the new connection."""
        self.state: State = State.AUTHORIZATION
        self.maildrop = _NO_MAILDROP
        self.user = ""
        """What USER said, until PASS takes it."""
        self._buffer = LineBuffer(COMMAND_LINE_BYTES)
        self._out: list[bytes] = [replies.ok(f"{hostname} POP3").serialize()]
        self._ended = False
        self._asked = ""
        """The command whose answer the owner owes, or empty."""
        self._sasl = SaslServer(self.terms)
        self._bad_count = 0
        self._failed_login_count = 0

    # ---- the owner's side

    @property
    def buffered_bytes(self) -> int:
        """Octets that came and were not looked at yet."""
        return len(self._buffer)

    @property
    def midway(self) -> bool:
        """Whether the client is inside a command: a part of a line, or a SASL exchange."""
        return bool(self._buffer) or self.state is State.SASL

    def receive(self, data: bytes) -> None:
        """Takes what came; `b""` says that nothing more will."""
        if data:
            self._buffer.feed(data)
        else:
            self._ended = True

    def data_to_send(self) -> bytes:
        """What is to be sent now; each octet is handed out once."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def next_event(self) -> Event:
        """The next thing to do. Call until it says NEED_DATA or Closed."""
        while True:
            if self._asked or (self.state is State.TLS and not self._ended):
                return Signal.PAUSED
            if self.state is State.CLOSED:
                return Closed()
            try:
                line = self._next_line()
            except LineTooLong:
                self._lost_line(replies.LINE_TOO_LONG)
                continue
            except BareLineEnding:
                self._lost_line(replies.BARE_LINE_ENDING)
                continue
            if line is None:
                if self._buffer.skipped_bytes > SKIPPED_BYTES:
                    self.end(replies.TOO_MANY_BAD)
                    continue
                if self._ended:
                    self.state = State.CLOSED
                    continue
                return Signal.NEED_DATA
            event = (
                self._sasl_step(self._sasl.step(line)) if self.state is State.SASL else self._command(line)
            )
            if event is not None:
                return event

    def tls_started(self, terms: Terms | None = None) -> None:
        """The handshake is done. Forgets everything said before it (RFC 2595 §4)."""
        self._buffer.clear()
        self.terms = terms or Terms()
        self._sasl = SaslServer(self.terms)
        self.tls_active = True
        self.user = ""
        self.state = State.AUTHORIZATION

    def give_keys(self, keys: Keys, nonce: str) -> None:
        """Answers SaslKeys."""
        self._answered()
        event = self._sasl_step(self._sasl.give(keys, nonce))
        assert event is None

    def opened(self, maildrop: Maildrop) -> None:
        """Answers Login: the maildrop is locked, and this is what is in it."""
        self._answered()
        self.maildrop = maildrop
        self.state = State.TRANSACTION
        self.send(replies.ok(f"{maildrop.count} messages"))

    def letter_follows(self) -> None:
        """Answers Retrieve; the owner then sends `data_to_send()` and the pieces of
        `letter.serialize_pieces`."""
        self._answered()
        self.send(replies.ok("The letter follows"))

    def letter_sent(self, uid: int) -> None:
        """A whole letter went out."""
        self.maildrop.retrieved_uids.add(uid)

    def updated(self) -> None:
        """Answers Update: what was marked is removed."""
        self._answered()
        self.end(replies.ok("Goodbye"))

    def refuse(self, reply: Reply) -> None:
        """Answers any event with an error. QUIT ends the session all the same (RFC 1939 §6)."""
        verb = self._answered()
        if verb == "QUIT":
            self.end(reply)
        elif verb == "LOGIN" and reply.code == "AUTH":
            self._failed_login_count += 1
            if self._failed_login_count < FAILED_LOGIN_COUNT:
                self.send(reply)
            else:
                self.end(replies.TOO_MANY_LOGINS)
        else:
            self.send(reply)

    def close(self, farewell: Reply | None = None) -> None:
        """Ends the session from our side, without an update: a deadline, a bug."""
        self._asked = ""
        if farewell is not None and self.state not in (State.CLOSED, State.TLS):
            self._out.append(farewell.serialize())
        self.state = State.CLOSED

    # ---- what commands use

    def send(self, reply: Reply) -> Event | None:
        """One line. (None, as all three of these, so that a command can return it.)"""
        self._out.append(reply.serialize())
        return None

    def send_bad(self, reply: Reply) -> Event | None:
        """One line that counts against the client."""
        self._bad_count += 1
        return self.end(replies.TOO_MANY_BAD) if self._bad_count >= BAD_COMMAND_COUNT else self.send(reply)

    def end(self, reply: Reply) -> Event | None:
        """One line, and the end."""
        self.state = State.CLOSED
        return self.send(reply)

    def send_list(self, text: str, lines: Sequence[str]) -> None:
        """A multi-line answer of lines that never begin with a dot."""
        body = "".join(f"{line}\r\n" for line in lines)
        self._out.append(replies.ok(text).serialize() + body.encode("ascii") + b".\r\n")

    def ask(self, verb: str, event: Event) -> Event:
        """An event that stops the session until it is answered."""
        self._asked = verb
        return event

    def log_in(self, mechanism: str, user: str, password: str) -> Event:
        """Asks the owner whether these credentials are good."""
        return self.ask("LOGIN", Login(Credentials(mechanism, user, password)))

    def start_sasl(self, mechanism: str, initial: bytes | None) -> Event | None:
        """AUTH's first step."""
        return self._sasl_step(self._sasl.start(mechanism, initial))

    # ---- inside

    def _next_line(self) -> bytes | None:
        self._buffer.limit_bytes = SASL_LINE_BYTES if self.state is State.SASL else COMMAND_LINE_BYTES
        return self._buffer.next_line()

    def _lost_line(self, reply: Reply) -> None:
        """A line that cannot be read ends a SASL exchange too."""
        if self.state is State.SASL:
            self._sasl = SaslServer(self.terms)
            self.state = State.AUTHORIZATION
        self.send_bad(reply)

    def _answered(self) -> str:
        verb, self._asked = self._asked, ""
        if not verb:
            raise AssertionError("nothing was asked")
        return verb

    def _command(self, line: bytes) -> Event | None:
        verb_bytes, _, rest = line.partition(b" ")
        verb = verb_bytes.decode("ascii", "replace").upper()
        command = COMMANDS.get(verb)
        if command is None:
            if verb in _HTTP_VERBS:
                return self.end(replies.NOT_POP3)
            return self.send_bad(replies.UNKNOWN_COMMAND)
        if self.state not in command.states:
            return self.send_bad(replies.WRONG_STATE)
        try:
            # A password may end in a space, so PASS takes all that follows the first one (RFC 1939 §7).
            arguments = rest.decode("utf-8")
        except UnicodeDecodeError:
            return self.send_bad(replies.BAD_ARGUMENTS)
        if verb != "PASS":
            arguments = arguments.strip(" ")
        if "\0" in arguments or (arguments and not command.takes_arguments):
            return self.send_bad(replies.BAD_ARGUMENTS)
        return command.run(self, arguments)

    def _sasl_step(self, step: Step) -> Event | None:
        if isinstance(step, Challenge):
            self.state = State.SASL
            self._out.append(b"+ " + step.line + b"\r\n")
            return None
        if isinstance(step, KeysWanted):
            return self.ask("AUTH", SaslKeys(step.user))
        self.state = State.AUTHORIZATION
        if isinstance(step, Refused):
            return self.send_bad(_SASL_REPLIES[step.reason])
        return self.ask("LOGIN", Login(step))
