"""The client's side: against scripts of good and bad servers, and against our own server at every split."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.smtp import events, replies
from mailserver_py.smtp.client import ClientLogin, ClientSession
from mailserver_py.smtp.client_events import (
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
from mailserver_py.smtp.events import Event
from mailserver_py.smtp.extensions import Role
from mailserver_py.smtp.limits import ServerLimits
from mailserver_py.smtp.replies import Reply

from .conversation import Owner, Talk, chunks_of, yes

LETTER = b"Subject: x\r\n\r\n.dot\r\nbare\nline\rend"
ENVELOPE = Envelope("a@b.test", ("c@d.test", "e@d.test"), size_bytes=30, eight_bit=True)
EHLO = b"250-peer\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"


def run(script: list[bytes], envelope: Envelope = ENVELOPE, **options: object) -> tuple[ClientEvent, bytes]:
    """Plays a server's bytes, one item for each time the client waits; the outcome, and all that was sent."""
    values = {"start_tls": StartTls.NEVER} | options
    session = ClientSession("us.test", **values)  # type: ignore[arg-type]  # options of the cases below
    replies_left = iter(script)
    sent = b""
    started = False
    while True:
        event = session.next_event()
        if isinstance(event, Sent | Failed):
            return event, sent + session.data_to_send()
        if event is CLIENT_READY:
            assert not started
            session.start(envelope)
            started = True
        elif event is CLIENT_LETTER_WANTED:
            session.send_letter(LETTER)
            session.end_letter()
        elif event is CLIENT_START_TLS:
            sent += session.data_to_send() + b"<TLS>"
            session.tls_started()
        else:
            assert event is CLIENT_NEED_DATA
            sent += session.data_to_send()
            session.receive(next(replies_left, b""))


def test_a_letter_goes_out_pipelined_with_the_parameters_that_the_server_knows() -> None:
    outcome, sent = run(
        [b"220 hi\r\n", EHLO, b"250 ok\r\n250 ok\r\n550 5.1.1 no\r\n", b"354 go\r\n", b"250 2.0.0 taken\r\n"]
    )
    assert sent == (
        b"EHLO us.test\r\nMAIL FROM:<a@b.test> SIZE=30 BODY=8BITMIME\r\nRCPT TO:<c@d.test>\r\nRCPT TO:<e@d.test>\r\n"
        b"DATA\r\nSubject: x\r\n\r\n..dot\r\nbare\r\nline\r\nend\r\n.\r\n"
    )
    assert isinstance(outcome, Sent)
    assert [answer.render() for answer in outcome.replies] == ["250 2.0.0 taken", "550 5.1.1 no"]


def test_without_pipelining_each_command_waits_for_its_reply() -> None:
    outcome, sent = run(
        [
            b"220 hi\r\n",
            b"250 peer\r\n",
            b"250 ok\r\n",
            b"250 ok\r\n",
            b"250 ok\r\n",
            b"354 go\r\n",
            b"250 ok\r\n",
        ]
    )
    assert isinstance(outcome, Sent)
    assert b"SIZE" not in sent
    assert b"BODY" not in sent


def test_an_old_server_gets_helo() -> None:
    outcome, sent = run(
        [b"220 hi\r\n", b"502 what\r\n", b"250 old\r\n"]
        + [b"250 ok\r\n"] * 3
        + [b"354 go\r\n", b"250 ok\r\n"]
    )
    assert isinstance(outcome, Sent)
    assert b"EHLO us.test\r\nHELO us.test\r\n" in sent


@pytest.mark.parametrize(
    ("answers", "codes"),
    [
        ([b"550 no\r\n503 mail?\r\n503 mail?\r\n", b"250 reset\r\n"], [550, 550]),
        ([b"250 ok\r\n450 later\r\n550 no\r\n", b"250 reset\r\n"], [450, 550]),
        ([b"250 ok\r\n250 ok\r\n250 ok\r\n", b"451 later\r\n", b"250 reset\r\n"], [451, 451]),
        ([b"250 ok\r\n250 ok\r\n250 ok\r\n", b"354 go\r\n", b"554 5.6.0 spam\r\n"], [554, 554]),
        ([b"250 ok\r\n550 no\r\n250 ok\r\n", b"354 go\r\n", b"250 ok\r\n"], [550, 250]),
    ],
)
def test_each_recipient_gets_the_reply_that_decided(answers: list[bytes], codes: list[int]) -> None:
    outcome, _ = run([b"220 hi\r\n", EHLO, *answers])
    assert isinstance(outcome, Sent)
    assert [answer.code for answer in outcome.replies] == codes


@pytest.mark.parametrize(
    ("script", "stage", "code"),
    [
        ([b""], Stage.GREETING, None),
        ([b"554 go away\r\n"], Stage.GREETING, 554),
        ([b"421 busy\r\n"], Stage.GREETING, 421),
        ([b"SSH-2.0-x\r\n"], Stage.GREETING, None),
        ([b"220 hi\r\n", b"421 bye\r\n"], Stage.HELLO, 421),
        ([b"220 hi\r\n", b"550 no\r\n", b"550 no\r\n"], Stage.HELLO_OLD, 550),
        ([b"220 hi\r\n", b"250-a\r\n"], Stage.HELLO, None),
        ([b"220 hi\r\n", EHLO, b"250 ok\r\n421 bye\r\n"], Stage.RCPT, 421),
        ([b"220 hi\r\n", EHLO, b"354 what\r\n"], Stage.MAIL, 354),
        ([b"220 hi\r\n", EHLO, b"250 ok\r\n354 what\r\n"], Stage.RCPT, 354),
        ([b"220 hi\r\n", EHLO, b"250 ok\r\n250 ok\r\n250 ok\r\n", b"250 what\r\n"], Stage.DATA, 250),
        (
            [b"220 hi\r\n", EHLO, b"250 ok\r\n250 ok\r\n250 ok\r\n", b"354 go\r\n", b""],
            Stage.END_OF_LETTER,
            None,
        ),
        ([b"220 hi\r\n", EHLO + b"250 more\r\n"], Stage.READY, 250),
        ([b"220 hi\r\n220 hi\r\n"], Stage.HELLO, 220),
        ([b"220 " + b"x" * 5000], Stage.GREETING, None),
    ],
)
def test_whatever_a_server_does_is_a_value(script: list[bytes], stage: Stage, code: int | None) -> None:
    outcome, _ = run(script)
    assert isinstance(outcome, Failed)
    assert outcome.stage is stage
    assert (outcome.reply.code if outcome.reply else None) == code
    assert len(outcome.why) < 600


def test_what_was_settled_before_the_connection_broke_stays_settled() -> None:
    outcome, _ = run([b"220 hi\r\n", EHLO, b"250 ok\r\n550 5.1.1 no\r\n", b""])
    assert isinstance(outcome, Failed)
    first, second = outcome.replies
    assert first is not None
    assert first.code == 550
    assert second is None


def test_a_server_that_speaks_before_the_letter_has_ended_fails_the_letter() -> None:
    outcome, _ = run([b"220 hi\r\n", EHLO, b"250 ok\r\n250 ok\r\n250 ok\r\n", b"354 go\r\n451 sorry\r\n"])
    assert isinstance(outcome, Failed)
    assert outcome.stage is Stage.LETTER


def test_every_stage_has_its_patience() -> None:
    assert set(STAGE_TIMEOUT_S) == set(Stage)
    assert ClientSession("us.test", StartTls.NEVER).timeout_s == 300


# ---- TLS

TLS_EHLO = b"250-peer\r\n250 STARTTLS\r\n"


def test_tls_is_used_when_offered_and_what_was_learned_before_is_forgotten() -> None:
    script = [
        b"220 hi\r\n",
        TLS_EHLO,
        b"220 go\r\n",
        b"250 peer\r\n",
        *[b"250 ok\r\n"] * 3,
        b"354 go\r\n",
        b"250 ok\r\n",
    ]
    outcome, sent = run(script, start_tls=StartTls.WHEN_OFFERED)
    assert isinstance(outcome, Sent)
    assert sent.startswith(b"EHLO us.test\r\nSTARTTLS\r\n<TLS>EHLO us.test\r\nMAIL")


@pytest.mark.parametrize("wish", [StartTls.WHEN_OFFERED, StartTls.REQUIRED])
def test_bytes_in_the_clear_behind_the_go_ahead_end_the_connection(wish: StartTls) -> None:
    for junk in (b"250 fake\r\n", b"250-half", b"\r\n"):
        outcome, sent = run([b"220 hi\r\n", TLS_EHLO, b"220 go\r\n" + junk], start_tls=wish)
        assert isinstance(outcome, Failed)
        assert "in the clear" in outcome.why
        assert b"<TLS>" not in sent


@pytest.mark.parametrize("answer", [b"250 peer\r\n", TLS_EHLO])
def test_required_tls_that_is_not_to_be_had_sends_nothing(answer: bytes) -> None:
    outcome, sent = run([b"220 hi\r\n", answer, b"454 no\r\n"], start_tls=StartTls.REQUIRED)
    assert isinstance(outcome, Failed)
    assert outcome.stage is Stage.START_TLS
    assert b"MAIL" not in sent


def test_opportunistic_tls_that_is_refused_goes_on_in_the_clear() -> None:
    script = [b"220 hi\r\n", TLS_EHLO, b"454 no\r\n", *[b"250 ok\r\n"] * 3, b"354 go\r\n", b"250 ok\r\n"]
    assert isinstance(run(script, start_tls=StartTls.WHEN_OFFERED)[0], Sent)


# ---- login


@pytest.mark.parametrize(
    ("mechanisms", "answers", "sent_lines"),
    [
        (b"LOGIN PLAIN", [b"235 ok\r\n"], b"AUTH PLAIN AHUAcA==\r\n"),
        (b"LOGIN", [b"334 \r\n", b"334 \r\n", b"235 ok\r\n"], b"AUTH LOGIN\r\ndQ==\r\ncA==\r\n"),
    ],
)
def test_login_by_what_is_offered(mechanisms: bytes, answers: list[bytes], sent_lines: bytes) -> None:
    script = [b"220 hi\r\n", b"250-peer\r\n250 AUTH " + mechanisms + b"\r\n", *answers, b""]
    _, sent = run(script, tls_active=True, login=ClientLogin("u", "p"))
    assert sent_lines in sent


def test_no_password_goes_over_a_connection_in_the_clear() -> None:
    for answer in (b"250-peer\r\n250 AUTH PLAIN\r\n", b"250-peer\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n"):
        outcome, sent = run(
            [b"220 hi\r\n", answer, b"454 no\r\n"],
            start_tls=StartTls.WHEN_OFFERED,
            login=ClientLogin("u", "p"),
        )
        assert isinstance(outcome, Failed)
        assert b"AUTH" not in sent


def test_a_refused_login_is_a_value_and_the_password_in_no_repr() -> None:
    login = ClientLogin("u", "hush")
    outcome, _ = run(
        [b"220 hi\r\n", b"250-peer\r\n250 AUTH PLAIN\r\n", b"535 5.7.8 no\r\n"], tls_active=True, login=login
    )
    assert isinstance(outcome, Failed)
    assert outcome.stage is Stage.AUTH
    assert "hush" not in repr(login)


# ---- what is refused before it is sent


@pytest.mark.parametrize(
    "path",
    ["c@d.test> NOTIFY=NEVER", "c@d.test>\r\nRSET\r\n<x", "c d@e.test", "", "c@d.test\0", "c@d.test.\r\n"],
)
def test_an_address_cannot_become_a_command(path: str) -> None:
    outcome, sent = run(
        [b"220 hi\r\n", EHLO, b"250 ok\r\n250 ok\r\n", b"354\r\n", b"250 ok\r\n"],
        Envelope("", (path, "x@y.test")),
    )
    assert isinstance(outcome, Sent)
    assert [answer.code for answer in outcome.replies] == [553, 250]
    assert b"RSET" not in sent
    outcome, sent = run([b"220 hi\r\n", EHLO], Envelope(path or "x", ("x@y.test",)))
    assert isinstance(outcome, Sent)
    assert outcome.replies[0].code == 553
    assert sent == b"EHLO us.test\r\n"


def test_a_letter_for_smtputf8_stays_when_the_server_cannot() -> None:
    for envelope in (
        Envelope("a@b.test", ("\u00fc@d.test",)),
        Envelope("a@b.test", ("u@d.test",), smtputf8=True),
    ):
        outcome, sent = run([b"220 hi\r\n", b"250 peer\r\n"], envelope)
        assert isinstance(outcome, Sent)
        assert outcome.replies[0].render().startswith("550 5.6.7")
        assert b"MAIL" not in sent


def test_a_letter_bigger_than_the_server_takes_is_not_offered() -> None:
    outcome, _ = run([b"220 hi\r\n", EHLO], Envelope("a@b.test", ("c@d.test",), size_bytes=1001))
    assert isinstance(outcome, Sent)
    assert outcome.replies[0].render().startswith("552 5.3.4")


# ---- wired to the server


def wire(
    size: int, letters: list[bytes], role: Role, owner: Owner = yes, *, recipient_count: int = 150
) -> tuple[Talk, list[Sent]]:
    """A pretend network that hands on `size` octets at a time, each way."""
    talk = Talk(role, owner=owner, limits=ServerLimits(10_000, 200))
    login = ClientLogin("u", "secret") if role is Role.SUBMISSION else None
    client = ClientSession("us.test", StartTls.REQUIRED, login=login)
    envelope = Envelope("a@b.test", tuple(f"r{number}@d.test" for number in range(recipient_count)))
    waiting = list(letters)
    outcomes: list[Sent] = []
    heard = 0
    while (event := client.next_event()) is not CLIENT_CLOSED:
        assert not isinstance(event, Failed), event
        if isinstance(event, Sent):
            outcomes.append(event)
        elif event is CLIENT_READY:
            if waiting:
                client.start(envelope)
            else:
                client.quit()
        elif event is CLIENT_LETTER_WANTED:
            client.send_letter(waiting.pop(0))
            client.end_letter()
        elif event is CLIENT_START_TLS:
            client.tls_started()
        else:
            talk.feed(chunks_of(client.data_to_send(), size))
            assert heard < len(talk.said), "both wait for each other"
            client.receive(talk.said[heard : heard + size])
            heard = min(heard + size, len(talk.said))
    return talk, outcomes


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100_000])
@pytest.mark.parametrize("role", [Role.MX, Role.SUBMISSION])
def test_client_and_server_understand_each_other_at_every_split(size: int, role: Role) -> None:
    talk, outcomes = wire(size, [b"one\r\n", LETTER], role)
    assert talk.letters == [b"one\r\n", b"Subject: x\r\n\r\n.dot\r\nbare\r\nline\r\nend\r\n"]
    assert [{answer.code for answer in outcome.replies} for outcome in outcomes] == [{250}, {250}]
    assert talk.session.tls_active
    assert talk.closed


def test_mixed_answers_come_back_in_the_envelope_s_order() -> None:
    def owner(event: Event) -> Reply:
        if isinstance(event, events.Recipient) and int(event.forward_path.local[1:]) % 3 == 0:
            return replies.reply(550, "5.1.1", "no")
        return yes(event)

    _, (outcome,) = wire(100_000, [b"x\r\n"], Role.MX, owner)
    assert [answer.code for answer in outcome.replies] == [550 if at % 3 == 0 else 250 for at in range(150)]


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=3), st.integers(1, 50))
def test_any_letter_arrives_with_its_line_ends_mended(letters: list[bytes], size: int) -> None:
    talk, outcomes = wire(size, letters, Role.MX, recipient_count=2)
    wanted = []
    for letter in letters:
        mended = re.sub(rb"\r(?!\n)|(?<!\r)\n", b"\r\n", letter)
        if b"\0" not in mended:
            wanted.append(mended if mended.endswith(b"\r\n") or not mended else mended + b"\r\n")
    assert talk.letters == wanted
    codes = [outcome.replies[0].code for outcome in outcomes]
    assert codes == [554 if b"\0" in letter else 250 for letter in letters]
