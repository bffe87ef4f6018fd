"""The server's side of a session: RFC 5321, with RFC 2920, 3207, 4954, 6531 by their rows in `extensions`.

    session = ServerSession("mx1.example", Role.MX, limits)
    loop:  event = session.next_event()
           NEED_DATA → send data_to_send(), session.receive(what came, b"" at the end)
           an event that wants an answer → session.reply(...)
           Closed → send data_to_send(), close

Replies gather until more input is needed, so that a pipelined group is answered in one write (RFC 2920 §3.2).
"""

from __future__ import annotations

from collections.abc import Callable

from mailserver_py.wire import sasl
from mailserver_py.wire.lines import BareLineEnding, LineBuffer, LineTooLong

from . import events, extensions, limits, replies
from .events import Event
from .extensions import COMMAND_LINE_BYTES, EXTENSION_VERBS, Offer, ParameterValue, Role
from .letter_reader import LetterReader
from .paths import parse_path
from .replies import Reply
from .states import NEXT, VERBS, State

_HTTP_VERBS = frozenset(
    ("GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "DELETE", "PATCH", "TRACE", "PRI")
)
"""A browser made to speak to us (the ALPACA attacks): its headers are not to be read as commands."""

_END_OF_LETTER = "."
"""Stands for a verb where the answer to a letter's end is owed."""


class ServerSession:
    """One connection, from greeting to end."""

    def __init__(
        self,
        hostname: str,
        role: Role,
        server_limits: limits.ServerLimits,
        *,
        tls_active: bool = False,
        tls_available: bool = True,
        terms: sasl.Terms | None = None,
    ) -> None:
        self._hostname = hostname
        self._role = role
        self._limits = server_limits
        self._tls_available = tls_available
        self.state = State.CONNECTED
        self.hello_name = ""
        """What the client calls itself; of this TLS layer."""
        self.extended = False
        """EHLO, not HELO."""
        self.tls_active = tls_active
        self.authenticated = False
        self.recipient_count = 0
        """Accepted in this transaction."""
        self._smtputf8 = False
        self._in = LineBuffer(limits.AUTH_LINE_BYTES)
        self._out: list[bytes] = [replies.reply(220, "", f"{hostname} ESMTP").serialize()]
        self._eof = False
        self._closed_because = ""
        self._asked = ""
        """The verb whose answer the owner owes, or empty."""
        self._letter: LetterReader | None = None
        self._letter_over = False
        """The letter's last octets were handed out, its end not yet."""
        self._terms = terms or sasl.Terms()
        self._sasl = sasl.SaslServer(self._terms)
        self._bad_count = 0
        self._idle_count = 0

    # ---- the owner's side

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

    def next_event(self) -> Event:
        """The next thing to do. Call until it says NEED_DATA or Closed."""
        while True:
            if self._asked or self.state is State.TLS:
                return events.PAUSED
            if self.state is State.CLOSED:
                return events.Closed(self._closed_because)
            event: Event | None
            if self._letter_over:
                self._letter_over = False
                self._asked = _END_OF_LETTER
                event = events.LETTER_END
            elif self._letter is not None:
                event = self._read_letter(self._letter)
            elif (line := self._next_line()) is None:
                event = self._starved()
            elif self.state is State.SASL:
                event = self._after_sasl(self._sasl.step(line))
            else:
                event = self._command(line)
            if event is not None:
                return event

    def reply(self, answer: Reply) -> None:
        """Answers the last event. The state moves by `states.NEXT` when the answer is positive."""
        verb, self._asked = self._asked, ""
        assert verb, "nothing was asked"
        self._out.append(answer.serialize())
        if answer.code == 421:
            self._end("refused")
        elif verb == "AUTH":
            self.state = State.READY
            self.authenticated = answer.positive
        elif verb == _END_OF_LETTER:
            self.state = State.READY
        elif answer.positive:
            self.state = NEXT[self.state][verb]
            if verb == "RCPT":
                self.recipient_count += 1
            elif verb == "MAIL":
                self.recipient_count = 0
            elif verb == "DATA":
                self._letter = LetterReader(self._limits.letter_bytes)

    def give_keys(self, keys: sasl.Keys, nonce: str) -> None:
        """Answers SaslKeys."""
        self._asked = ""
        self._after_sasl(self._sasl.give(keys, nonce))

    def tls_started(self, terms: sasl.Terms | None = None) -> None:
        """The handshake is done. Forgets everything said before it (RFC 3207 §4.2)."""
        self._in.clear()
        self._terms = terms or sasl.Terms()
        self._sasl = sasl.SaslServer(self._terms)
        self.state = State.CONNECTED
        self.tls_active = True
        self.authenticated = self.extended = False
        self.hello_name = ""

    def close(self, farewell: Reply | None = None) -> None:
        """Ends the session from our side: a deadline, a restart, a bug."""
        if farewell is not None and self.state not in (State.CLOSED, State.TLS):
            self._out.append(farewell.serialize())
        self._asked = ""
        self._letter = None
        self._end("closed by us")

    @property
    def midway(self) -> bool:
        """Whether part of a line has come, whose end has not."""
        return len(self._in) > 0

    @property
    def protocol_keyword(self) -> str:
        """What stands behind `with` in the Received field (RFC 3848 §2, RFC 6531 §4.3)."""
        if not self.extended:
            return "SMTP"
        base = "UTF8SMTP" if self._smtputf8 else "ESMTP"
        return base + ("S" if self.tls_active else "") + ("A" if self.authenticated else "")

    # ---- bytes to lines and letters

    def _next_line(self) -> bytes | None:
        while self.state is not State.CLOSED:
            is_sasl, refusal = self.state is State.SASL, replies.LINE_TOO_LONG
            try:
                line = self._in.next_line()
                if self._in.skipped_bytes > limits.SKIPPED_BYTES:
                    self._hang_up(replies.TOO_MANY_ERRORS)
                    break
                if line is None or is_sasl or len(line) <= COMMAND_LINE_BYTES or line[:4].upper() == b"AUTH":
                    return line
            except LineTooLong:
                pass
            except BareLineEnding:
                refusal = replies.SYNTAX_ERROR
            if is_sasl:
                self.state = State.READY
            self._refuse(refusal)
        return None

    def _read_letter(self, letter: LetterReader) -> Event | None:
        if not self._in:
            return self._starved()
        data = letter.feed(self._in.take_all())
        if letter.ended:
            self._in.feed(letter.rest)
            self._letter = None
            self._idle_count = 0
            if letter.defect is None:
                self._letter_over = True
                return events.LetterChunk(data) if data else None
            self.state = State.READY
            self._refuse(letter.defect.value)
            return events.LetterRefused(letter.defect.value)
        return events.LetterChunk(data) if data else None

    def _starved(self) -> Event:
        if self._eof:
            self._end("closed by the client")
        return events.Closed(self._closed_because) if self.state is State.CLOSED else events.NEED_DATA

    # ---- commands

    def _command(self, line: bytes) -> Event | None:
        try:
            text = line.rstrip(b" \t").decode()
        except UnicodeDecodeError:
            return self._refuse(replies.SYNTAX_ERROR)
        if not text.isprintable():
            return self._refuse(replies.SYNTAX_ERROR)
        word, _, argument = text.partition(" ")
        verb = word.upper()
        if verb not in VERBS:
            return self._unknown(verb)
        extension = EXTENSION_VERBS.get(verb)
        if extension is not None and not (self.extended and extension.offered(self._offer())):
            return self._refuse(self._why_not_offered(verb))
        if verb not in NEXT[self.state]:
            return self._refuse(replies.BAD_SEQUENCE)
        self._idle_count += 1
        if self._idle_count > limits.IDLE_COMMAND_COUNT and verb != "RCPT":
            return self._hang_up(replies.TOO_MANY_COMMANDS)
        return _RUN[verb](self, verb, argument)

    def _hello(self, verb: str, argument: str) -> Event | None:
        name = argument.strip()
        if not name or " " in name or not name.isascii() or len(name) > limits.HELLO_NAME_BYTES:
            return self._refuse(replies.BAD_ARGUMENTS)
        self.hello_name = name
        self.extended = verb == "EHLO"
        lines = extensions.offered(self._offer()) if self.extended else ()
        self.state = NEXT[self.state][verb]
        return self._say(Reply(250, "", (self._hostname, *lines)))

    def _mail(self, verb: str, argument: str) -> Event | None:
        if self._role is Role.SUBMISSION and not self.authenticated:
            needs_tls = self._tls_available and not self.tls_active
            return self._refuse(replies.MUST_START_TLS if needs_tls else replies.MUST_AUTHENTICATE)
        parsed = parse_path(argument[5:], null_allowed=True) if argument[:5].upper() == "FROM:" else None
        if parsed is None:
            return self._refuse(replies.BAD_SENDER_SYNTAX)
        path, rest = parsed
        parameters = self._parameters(rest, verb)
        if isinstance(parameters, Reply):
            return self._refuse(parameters)
        self._smtputf8 = "SMTPUTF8" in parameters
        if not path.is_ascii and not self._smtputf8:
            return self._refuse(replies.NEEDS_SMTPUTF8)
        self._asked = verb
        return events.Mail(path, parameters)

    def _rcpt(self, verb: str, argument: str) -> Event | None:
        parsed = parse_path(argument[3:], null_allowed=False) if argument[:3].upper() == "TO:" else None
        if parsed is None:
            return self._refuse(replies.BAD_RECIPIENT_SYNTAX)
        path, rest = parsed
        parameters = self._parameters(rest, verb)
        if isinstance(parameters, Reply):
            return self._refuse(parameters)
        if not path.is_ascii and not self._smtputf8:
            return self._refuse(replies.NEEDS_SMTPUTF8)
        if self.recipient_count >= self._limits.recipient_count:
            # RFC 5321 §4.5.3.1.10: the client sends the rest in another transaction, so this is no fault.
            return self._say(replies.TOO_MANY_RECIPIENTS)
        self._asked = verb
        return events.Recipient(path, parameters)

    def _parameters(self, rest: str, verb: str) -> dict[str, ParameterValue] | Reply:
        if not rest:
            return {}
        if rest[0] != " ":
            return replies.BAD_SENDER_SYNTAX if verb == "MAIL" else replies.BAD_RECIPIENT_SYNTAX
        return (
            extensions.parse_parameters(rest, verb, self._offer())
            if self.extended
            else replies.UNKNOWN_PARAMETER
        )

    def _data(self, verb: str, argument: str) -> Event | None:
        if argument:
            return self._refuse(replies.BAD_ARGUMENTS)
        self._asked = verb
        return events.LETTER_WANTED

    def _auth(self, verb: str, argument: str) -> Event | None:
        mechanism, _, initial = argument.partition(" ")
        self.state = NEXT[self.state][verb]
        return self._after_sasl(self._sasl.start(mechanism, initial.encode() if initial else None))

    def _start_tls(self, verb: str, argument: str) -> Event | None:
        if argument:
            return self._refuse(replies.BAD_ARGUMENTS)
        if self._in:
            # Commands in the clear behind STARTTLS: an injection (CVE-2021-33515 and its kin), or a client
            # that pipelines where RFC 3207 §4 forbids it. Nothing of them is to be run, before TLS or after.
            return self._hang_up(replies.NOTHING_MAY_FOLLOW)
        self._out.append(replies.START_TLS.serialize())
        self.state = NEXT[self.state][verb]
        return events.START_TLS

    def _simple(self, verb: str, argument: str) -> Event | None:
        answer, argument_allowed = replies.AT_ONCE[verb]
        if argument and not argument_allowed:
            return self._refuse(replies.BAD_ARGUMENTS)
        self.state = NEXT[self.state][verb]
        self._closed_because = "QUIT" if verb == "QUIT" else ""
        return self._say(answer)

    def _verify(self, _: str, argument: str) -> Event | None:
        # Never says who exists (RFC 5321 §7.3).
        return self._say(replies.CANNOT_VERIFY) if argument else self._refuse(replies.BAD_ARGUMENTS)

    def _expand(self, _verb: str, _argument: str) -> Event | None:
        return self._refuse(replies.NOT_IMPLEMENTED)

    # ---- answers of the session's own

    def _say(self, answer: Reply) -> Event | None:
        self._out.append(answer.serialize())
        return None

    def _refuse(self, answer: Reply) -> Event | None:
        self._bad_count += 1
        if self._bad_count > limits.BAD_COMMAND_COUNT:
            return self._hang_up(replies.TOO_MANY_ERRORS)
        return self._say(answer)

    def _hang_up(self, answer: Reply) -> Event | None:
        self._say(answer)
        self._end(answer.text)
        return None

    def _end(self, because: str) -> None:
        self.state = State.CLOSED
        self._closed_because = self._closed_because or because
        self._in.clear()

    def _unknown(self, verb: str) -> Event | None:
        return (
            self._hang_up(replies.NOT_HTTP) if verb in _HTTP_VERBS else self._refuse(replies.UNKNOWN_COMMAND)
        )

    def _why_not_offered(self, verb: str) -> Reply:
        if verb == "AUTH" and self._role is Role.SUBMISSION and not self.tls_active:
            return replies.ENCRYPTION_REQUIRED
        done = self.tls_active if verb == "STARTTLS" else self.authenticated
        return replies.BAD_SEQUENCE if done or not self.extended else replies.NOT_IMPLEMENTED

    def _after_sasl(self, outcome: sasl.Step) -> Event | None:
        if isinstance(outcome, sasl.Challenge):
            return self._say(replies.reply(334, "", outcome.line.decode("ascii")))
        if isinstance(outcome, sasl.KeysWanted):
            self._asked = "AUTH"
            return events.SaslKeys(outcome.user)
        self.state = State.READY
        if isinstance(outcome, sasl.Refused):
            return self._refuse(replies.OF_SASL[outcome.reason])
        self._asked = "AUTH"
        return events.Login(outcome)

    def _offer(self) -> Offer:
        return Offer(
            role=self._role,
            tls_active=self.tls_active,
            tls_available=self._tls_available,
            authenticated=self.authenticated,
            letter_limit_bytes=self._limits.letter_bytes,
            mechanisms=sasl.list_mechanisms(self._terms),
        )


_RUN: dict[str, Callable[[ServerSession, str, str], Event | None]] = {
    "HELO": ServerSession._hello,
    "EHLO": ServerSession._hello,
    "MAIL": ServerSession._mail,
    "RCPT": ServerSession._rcpt,
    "DATA": ServerSession._data,
    "AUTH": ServerSession._auth,
    "STARTTLS": ServerSession._start_tls,
    "RSET": ServerSession._simple,
    "NOOP": ServerSession._simple,
    "HELP": ServerSession._simple,
    "VRFY": ServerSession._verify,
    "EXPN": ServerSession._expand,
    "QUIT": ServerSession._simple,
}
