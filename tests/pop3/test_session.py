"""POP3 conversations with the core: whole, octet by octet, and at every split."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.pop3 import replies
from mailserver_py.pop3.commands import COMMANDS, State
from mailserver_py.pop3.events import Closed, Login, Retrieve, Signal, Update
from mailserver_py.pop3.letter import serialize_pieces, top
from mailserver_py.pop3.maildrop import Entry, Maildrop
from mailserver_py.pop3.session import BAD_COMMAND_COUNT, FAILED_LOGIN_COUNT, SKIPPED_BYTES, ServerSession
from mailserver_py.wire.sasl import Credentials

LETTERS = {1: b"Subject: one\r\n\r\n.dot\r\nsecond\r\n", 5: b"Subject: two\r\n\r\nx\r\n", 9: b"three\r\n\r\n"}


class Owner:
    """A session and what its owner does: one user, three letters."""

    def __init__(self, *, tls: bool = True) -> None:
        self.session = ServerSession("mx.example", tls_active=tls)
        self.sent = b""
        self.removed: tuple[int, ...] | None = None
        self.seen: tuple[int, ...] = ()
        self.closed = False

    def hear(self, data: bytes) -> None:
        self.session.receive(data)
        while True:
            event = self.session.next_event()
            self.sent += self.session.data_to_send()
            if event is Signal.NEED_DATA:
                return
            if isinstance(event, Closed):
                self.closed = True
                return
            if event is Signal.START_TLS:
                self.session.tls_started()
            elif isinstance(event, Login):
                credentials = event.claim
                assert isinstance(credentials, Credentials)
                if (credentials.user, credentials.password, credentials.acting_as) == ("alice", "secret", ""):
                    entries = [Entry(uid, len(letter)) for uid, letter in LETTERS.items()]
                    self.session.opened(Maildrop(7, entries))
                else:
                    self.session.refuse(replies.LOGIN_REFUSED)
            elif isinstance(event, Retrieve):
                self.session.letter_follows()
                letter = LETTERS[event.entry.uid]
                letter = letter if event.line_count is None else top(letter, event.line_count)
                self.sent += self.session.data_to_send() + b"".join(serialize_pieces(letter))
                self.session.letter_sent(event.entry.uid)
            elif isinstance(event, Update):
                self.removed, self.seen = event.deleted_uids, event.retrieved_uids
                self.session.updated()


def conversation(said: bytes, *, tls: bool = True) -> bytes:
    owner = Owner(tls=tls)
    owner.hear(said)
    return owner.sent.removeprefix(b"+OK mx.example POP3\r\n")


LOGIN = b"USER alice\r\nPASS secret\r\n"
LOGGED_IN = b"+OK Now the password\r\n+OK 3 messages\r\n"

DIALOGUES = {
    "list": (b"LIST\r\n", b"+OK 3 messages\r\n1 30\r\n2 19\r\n3 9\r\n.\r\n"),
    "list of one": (b"LIST 2\r\n", b"+OK 2 19\r\n"),
    "uidl": (b"UIDL\r\n", b"+OK 3 messages\r\n1 7.1\r\n2 7.5\r\n3 7.9\r\n.\r\n"),
    "uidl of one": (b"uidl 3\r\n", b"+OK 3 7.9\r\n"),
    "stat": (b"STAT\r\n", b"+OK 3 58\r\n"),
    "retrieve": (b"RETR 1\r\n", b"+OK The letter follows\r\nSubject: one\r\n\r\n..dot\r\nsecond\r\n.\r\n"),
    "top": (b"TOP 1 1\r\n", b"+OK The letter follows\r\nSubject: one\r\n\r\n..dot\r\n.\r\n"),
    "top of nothing": (b"TOP 2 0\r\n", b"+OK The letter follows\r\nSubject: two\r\n\r\n.\r\n"),
    "deleted messages are gone": (
        b"DELE 2\r\nSTAT\r\nLIST\r\nUIDL 2\r\nRETR 2\r\nDELE 2\r\n",
        b"+OK Marked as deleted\r\n+OK 2 39\r\n+OK 2 messages\r\n1 30\r\n3 9\r\n.\r\n"
        + b"-ERR The message is marked as deleted\r\n" * 3,
    ),
    "reset brings them back": (
        b"DELE 2\r\nRSET\r\nSTAT\r\n", b"+OK Marked as deleted\r\n+OK 3 messages\r\n+OK 3 58\r\n"
    ),
    "no such message": (b"RETR 4\r\nRETR 0\r\nDELE 99\r\n", b"-ERR There is no such message\r\n" * 3),
    "bad numbers": (
        b"RETR\r\nRETR x\r\nRETR -1\r\nTOP 1\r\nTOP 1 -1\r\nRETR 99999999999\r\n",
        b"-ERR The arguments are not what this command takes\r\n" * 6,
    ),
    "noop": (b"NOOP\r\n", b"+OK\r\n"),
    "languages": (b"LANG\r\nLANG *\r\nLANG xx\r\n",
        b"+OK Languages follow\r\nen English\r\n.\r\n+OK en English it is\r\n"
        b"-ERR There are no texts in that language\r\n"),
    "before-login commands": (LOGIN, b"-ERR Not now: this command belongs to another state\r\n" * 2),
    "unknown": (b"XTND x\r\nAPOP a b\r\n", b"-ERR There is no such command\r\n" * 2),
    "quit": (b"QUIT\r\n", b"+OK Goodbye\r\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", DIALOGUES)
def test_the_conversation_is_the_same_at_every_split(name: str) -> None:
    said, answered = DIALOGUES[name]
    said, answered = LOGIN + said, LOGGED_IN + answered
    assert conversation(said) == answered
    for cuts in ([*range(1, len(said))], *([cut] for cut in range(1, len(said)))):
        owner = Owner()
        for start, end in zip([0, *cuts], [*cuts, len(said)], strict=True):
            owner.hear(said[start:end])
        assert owner.sent == b"+OK mx.example POP3\r\n" + answered


def test_only_quit_removes_and_says_what_was_read() -> None:
    owner = Owner()
    owner.hear(LOGIN + b"RETR 1\r\nRETR 2\r\nDELE 2\r\nDELE 3\r\nQUIT\r\n")
    assert (owner.removed, owner.seen, owner.closed) == ((5, 9), (1,), True)


@pytest.mark.parametrize("ending", [b"", b"QUI", b"RSET\r\nQUIT\r\n"])
def test_a_lost_connection_or_a_reset_removes_nothing(ending: bytes) -> None:
    owner = Owner()
    owner.hear(LOGIN + b"DELE 1\r\n" + ending)
    owner.hear(b"")
    assert owner.closed
    assert not owner.removed


def test_a_removal_that_fails_is_said() -> None:
    session = ServerSession("mx", tls_active=True)
    session.receive(LOGIN)
    assert isinstance(session.next_event(), Login)
    session.opened(Maildrop(1, [Entry(1, 1)]))
    session.receive(b"DELE 1\r\nQUIT\r\n")
    assert session.next_event() == Update((1,), ())
    session.refuse(replies.NOT_REMOVED)
    assert isinstance(session.next_event(), Closed)
    assert session.data_to_send().endswith(b"-ERR [SYS/TEMP] Some deleted messages were not removed\r\n")


def test_the_session_stops_while_an_answer_is_owed() -> None:
    session = ServerSession("mx", tls_active=True)
    session.receive(LOGIN + b"STAT\r\n")
    assert isinstance(session.next_event(), Login)
    assert session.next_event() is Signal.PAUSED
    session.refuse(replies.IN_USE)
    assert session.next_event() is Signal.NEED_DATA
    assert b"-ERR [IN-USE] " in session.data_to_send()


# ---- TLS


@pytest.mark.parametrize(
    "said",
    [b"USER alice\r\n", b"PASS secret\r\n", b"AUTH PLAIN\r\n", b"AUTH PLAIN AGEAYg==\r\n", b"AUTH\r\n"],
)
def test_no_password_is_taken_in_the_clear(said: bytes) -> None:
    assert conversation(said, tls=False) == b"-ERR A password needs TLS: say STLS first\r\n"


def test_nothing_said_before_tls_counts_after_it() -> None:
    owner = Owner(tls=False)
    owner.session.user = "alice"
    owner.hear(b"STLS\r\n")
    assert owner.sent.endswith(b"+OK Begin the TLS negotiation now\r\n")
    assert owner.session.tls_active
    owner.hear(b"PASS secret\r\n")
    assert owner.sent.endswith(b"-ERR Say USER first\r\n")


@pytest.mark.parametrize("injected", [b"CAPA\r\n", b"U", b"\r\n", b"\x16\x03\x01"])
def test_octets_behind_stls_end_the_connection(injected: bytes) -> None:
    owner = Owner(tls=False)
    owner.hear(b"STLS\r\n" + injected)
    assert owner.closed
    assert not owner.session.tls_active
    assert owner.sent.endswith(b"-ERR Nothing may follow STLS before TLS is there, goodbye\r\n")


def test_octets_in_the_clear_that_come_before_tls_stands_are_forgotten() -> None:
    session = ServerSession("mx", tls_active=False)
    session.receive(b"STLS\r\n")
    assert session.next_event() is Signal.START_TLS
    session.receive(b"USER mallory\r\n")
    assert session.next_event() is Signal.PAUSED
    session.tls_started()
    assert session.next_event() is Signal.NEED_DATA
    assert session.user == ""


def test_tls_is_started_once_and_only_before_the_login() -> None:
    assert conversation(b"STLS\r\n") == b"-ERR TLS is active already\r\n"
    assert conversation(LOGIN + b"STLS\r\n").endswith(
        b"-ERR Not now: this command belongs to another state\r\n"
    )
    without = ServerSession("mx", tls_available=False)
    without.receive(b"STLS\r\nCAPA\r\n")
    without.next_event()
    said = without.data_to_send()
    assert b"-ERR TLS is not available here\r\n" in said
    assert b"\r\nSTLS\r\n" not in said


# ---- CAPA


@pytest.mark.parametrize(
    ("said", "tls", "offered", "hidden"),
    [
        (b"", False, {"STLS", "UIDL", "TOP", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE"}, {"USER", "SASL"}),
        (b"", True, {"USER", "SASL PLAIN LOGIN", "UIDL", "TOP", "UTF8", "LANG", "EXPIRE NEVER"}, {"STLS"}),
        (LOGIN, True, {"SASL PLAIN LOGIN", "UIDL", "TOP"}, {"STLS", "USER"}),
    ],
)
def test_capabilities_are_what_can_be_said_now(
    said: bytes, tls: bool, offered: set[str], hidden: set[str]
) -> None:
    answer = conversation(said + b"CAPA\r\n", tls=tls).decode()
    lines = answer[answer.index("+OK Capabilities") :].split("\r\n")
    assert lines[-2:] == [".", ""]
    assert offered <= set(lines)
    assert not hidden & {line.split(" ")[0] for line in lines}


def test_every_command_belongs_to_a_state() -> None:
    for verb, command in COMMANDS.items():
        assert verb == command.verb
        assert command.states
        assert set(command.states) <= {State.AUTHORIZATION, State.TRANSACTION}


# ---- AUTH


def b64(data: bytes) -> bytes:
    return base64.b64encode(data)


AUTH = {
    "initial response": b"AUTH PLAIN " + b64(b"\0alice\0secret") + b"\r\n",
    "challenge": b"AUTH plain\r\n" + b64(b"\0alice\0secret") + b"\r\n",
    "login": b"AUTH LOGIN\r\n" + b64(b"alice") + b"\r\n" + b64(b"secret") + b"\r\n",
    "login with a name": b"AUTH LOGIN " + b64(b"alice") + b"\r\n" + b64(b"secret") + b"\r\n",
}


@pytest.mark.parametrize("name", AUTH)
def test_every_mechanism_logs_in(name: str) -> None:
    assert conversation(AUTH[name]).endswith(b"+OK 3 messages\r\n")


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        (b"AUTH PLAIN " + b64(b"\0alice\0wrong"), b"-ERR [AUTH] The name or the password is wrong"),
        (b"AUTH PLAIN\r\n*", b"+ \r\n-ERR Cancelled"),
        (b"AUTH PLAIN %", b"-ERR That is not base64"),
        (b"AUTH PLAIN " + b64(b"x"), b"-ERR That is not what the mechanism says"),
        (b"AUTH CRAM-MD5", b"-ERR There is no such mechanism"),
        (b"AUTH", b"+OK Mechanisms follow\r\nPLAIN\r\nLOGIN\r\n."),
        (b"AUTH PLAIN\r\n" + b"A" * 13_000, b"+ \r\n-ERR The line is too long"),
    ],
)
def test_an_exchange_that_fails_leaves_the_session_where_it_was(said: bytes, answered: bytes) -> None:
    assert conversation(said + b"\r\n" + LOGIN) == answered + b"\r\n" + LOGGED_IN


def test_a_password_may_hold_spaces_and_utf8() -> None:
    session = ServerSession("mx", tls_active=True)
    session.receive("USER  jörg \r\nPASS  pass wörd \r\n".encode())
    event = session.next_event()
    assert isinstance(event, Login)
    assert event.claim == Credentials("USER", "jörg", " pass wörd ")


# ---- limits


def test_too_many_bad_commands_end_the_session() -> None:
    owner = Owner()
    owner.hear(b"XXXX\r\n" * 50)
    assert owner.closed
    assert owner.sent.count(b"\r\n") == BAD_COMMAND_COUNT + 1
    assert owner.sent.endswith(b"-ERR Too many bad commands, goodbye\r\n")


def test_too_many_failed_logins_end_the_session() -> None:
    owner = Owner()
    owner.hear(b"USER alice\r\nPASS wrong\r\n" * 20)
    assert owner.closed
    assert owner.sent.count(b"[AUTH]") == FAILED_LOGIN_COUNT


@pytest.mark.parametrize("verb", [b"GET / HTTP/1.1", b"POST / HTTP/1.1", b"PRI * HTTP/2.0"])
def test_a_browser_is_sent_away_at_once(verb: bytes) -> None:
    owner = Owner()
    owner.hear(verb + b"\r\nUSER alice\r\nPASS secret\r\n")
    assert owner.closed
    assert owner.sent.endswith(b"-ERR This is a POP3 server, goodbye\r\n")


def test_an_endless_line_ends_the_session_and_keeps_nothing() -> None:
    owner = Owner()
    for _ in range(SKIPPED_BYTES // 10_000 + 2):
        owner.hear(b"x" * 10_000)
        assert owner.session.buffered_bytes <= 10_000
    assert owner.closed


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        (b"NOOP\nSTAT\r\n", b"-ERR Lines end in CRLF\r\n+OK 3 58\r\n"),
        (b"NO\rOP\r\nSTAT\r\n", b"-ERR Lines end in CRLF\r\n+OK 3 58\r\n"),
        (b"NOOP" + b" " * 600 + b"\r\nSTAT\r\n", b"-ERR The line is too long\r\n+OK 3 58\r\n"),
        (b"LIST \xff\r\nSTAT\r\n", b"-ERR The arguments are not what this command takes\r\n+OK 3 58\r\n"),
        (b"LIST \0\r\nSTAT\r\n", b"-ERR The arguments are not what this command takes\r\n+OK 3 58\r\n"),
        (b"NOOP x\r\nSTAT\r\n", b"-ERR The arguments are not what this command takes\r\n+OK 3 58\r\n"),
    ],
)
def test_a_broken_line_is_one_error_and_the_next_is_heard(said: bytes, answered: bytes) -> None:
    assert conversation(LOGIN + said) == LOGGED_IN + answered


PIECES = [
    b"USER alice\r\n", b"PASS secret\r\n", b"AUTH PLAIN\r\n", b"*\r\n", b"STLS\r\n", b"DELE 1\r\n", b"RETR 1\r\n",
    b"QUIT\r\n", b"RSET\r\n", b"CAPA\r\n", b"\r\n", b"\n", b"\0", b"TOP 1 1\r\n", b"LIST\r\n", b"\xff\r\n", b"AUTH",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join), st.booleans(), st.integers(1, 400))
def test_any_conversation_is_the_same_at_any_split(said: bytes, tls: bool, cut: int) -> None:
    whole, cut_up = Owner(tls=tls), Owner(tls=tls)
    whole.hear(said)
    if b"STLS" in said and not tls:
        return
    cut_up.hear(said[:cut])
    if not cut_up.closed:
        cut_up.hear(said[cut:] or b"")
    assert whole.sent.startswith(cut_up.sent) or cut_up.sent.startswith(whole.sent)
    assert all(len(line) <= 512 for line in whole.sent.split(b"\r\n"))
    assert whole.removed == cut_up.removed
