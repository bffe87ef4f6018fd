"""The server's side: what is answered to what, at every split of the bytes."""

from __future__ import annotations

import pytest

from mailserver_py.smtp import events, limits, replies
from mailserver_py.smtp.events import Event
from mailserver_py.smtp.extensions import COMMAND_LINE_BYTES, Role
from mailserver_py.smtp.limits import ServerLimits
from mailserver_py.smtp.replies import Reply
from mailserver_py.smtp.server import ServerSession
from mailserver_py.smtp.states import State
from mailserver_py.wire.sasl import Credentials

from .conversation import Talk, chunks_of, yes

PIPELINED = (
    b"EHLO c.test\r\nMAIL FROM:<a@b.test> SIZE=20 BODY=8BITMIME\r\nRCPT TO:<c@mx.test>\r\nRCPT TO:<bad\r\n"
    b"RCPT TO:<d@mx.test>\r\nDATA\r\nSubject: x\r\n\r\n..dot\r\n\r\n.\r\nRSET\r\nNOOP\r\nQUIT\r\nNOOP\r\n"
)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13, 1000])
def test_a_pipelined_conversation_is_the_same_at_every_split(size: int) -> None:
    talk = Talk()
    talk.feed(chunks_of(PIPELINED, size))
    assert talk.codes == [220, 250, 250, 250, 501, 250, 354, 250, 250, 250, 221]
    assert talk.letters == [b"Subject: x\r\n\r\n.dot\r\n\r\n"]
    assert talk.closed


@pytest.mark.parametrize("at", range(1, len(PIPELINED)))
def test_any_one_split_changes_nothing(at: int) -> None:
    whole, split = Talk(), Talk()
    whole.feed([PIPELINED])
    split.feed([PIPELINED[:at], PIPELINED[at:]])
    assert split.said == whole.said
    assert split.seen == whole.seen


def test_a_pipelined_group_is_answered_in_one_write() -> None:
    session = ServerSession("mx.test", Role.MX, ServerLimits(1000, 3))
    session.receive(b"EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n")
    answers = 0
    while (event := session.next_event()) is not events.NEED_DATA:
        session.reply(yes(event))
        answers += 1
    assert answers == 2
    assert session.data_to_send().count(b"\r\n250 ") + 1 == 4


def test_mail_carries_its_parameters() -> None:
    talk = Talk()
    talk.feed([b"EHLO c\r\nMAIL FROM:<\xc3\xbc@b.test> SMTPUTF8 SIZE=17 body=8bitmime\r\n"])
    (mail,) = talk.seen
    assert isinstance(mail, events.Mail)
    assert (mail.smtputf8, mail.eight_bit, mail.size_bytes) == (True, True, 17)
    assert mail.reverse_path.serialize() == "\u00fc@b.test"


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"MAIL FROM:<a@b> SIZE=1001", b"552 5.3.4"),
        (b"MAIL FROM:<a@b> SIZE=x", b"501 5.5.4"),
        (b"MAIL FROM:<a@b> SIZE", b"501 5.5.4"),
        (b"MAIL FROM:<a@b> SIZE=1 SIZE=2", b"501 5.5.4"),
        (b"MAIL FROM:<a@b> BODY=BINARYMIME", b"501 5.5.4"),
        (b"MAIL FROM:<a@b> FOO=1", b"555 5.5.4"),
        (b"MAIL FROM:<a@b> AUTH=<>", b"555 5.5.4"),
        (b"MAIL FROM:<a@b> SMTPUTF8=1", b"501 5.5.4"),
        (b"MAIL FROM:<a@b>SIZE=1", b"501 5.1.7"),
        (b"MAIL FROM:a@b", b"501 5.1.7"),
        (b"MAIL a@b", b"501 5.1.7"),
        (b"MAIL FROM:<\xc3\xbc@b>", b"553 5.6.7"),
        (b"MAIL FROM:<\xff@b>", b"500 5.5.2"),
        (b"MAIL FROM:<a\x00@b>", b"500 5.5.2"),
        (b"MAIL FROM:<a\r@b>", b"500 5.5.2"),
        (b"mail from: <a@b>  ", b"250"),
        (b"RCPT TO:<a@b>", b"503 5.5.1"),
        (b"DATA", b"503 5.5.1"),
        (b"VRFY a", b"252 2.1.5"),
        (b"VRFY", b"501 5.5.4"),
        (b"EXPN list", b"502 5.5.1"),
        (b"HELP", b"214 2.0.0"),
        (b"HELP MAIL", b"214 2.0.0"),
        (b"NOOP x", b"250 2.0.0"),
        (b"RSET x", b"501 5.5.4"),
        (b"QUIT x", b"501 5.5.4"),
        (b"QUIT", b"221 2.0.0"),
        (b"TURN", b"500 5.5.1"),
        (b"", b"500 5.5.1"),
        (b"AUTH PLAIN", b"502 5.5.1"),
        (b"STARTTLS now", b"501 5.5.4"),
        (b"EHLO", b"501 5.5.4"),
        (b"EHLO a b", b"501 5.5.4"),
        (b"EHLO " + b"a" * 256, b"501 5.5.4"),
        (b"HELO [192.0.2.1]", b"250 mx.test"),
    ],
)
def test_after_ehlo(line: bytes, answer: bytes) -> None:
    talk = Talk()
    talk.say(b"EHLO c.test")
    assert talk.say(line).startswith(answer)


@pytest.mark.parametrize("verb", [b"MAIL FROM:<a@b>", b"RCPT TO:<a@b>", b"DATA", b"STARTTLS", b"AUTH PLAIN"])
def test_nothing_of_worth_goes_before_ehlo(verb: bytes) -> None:
    assert Talk().say(verb)[:3] in (b"503", b"502")


def test_helo_has_no_parameters() -> None:
    talk = Talk()
    talk.say(b"HELO c")
    assert talk.say(b"MAIL FROM:<a@b> SIZE=1").startswith(b"555")
    assert talk.say(b"STARTTLS").startswith(b"503")
    assert talk.say(b"MAIL FROM:<a@b>").startswith(b"250")


def test_ehlo_offers_what_may_be_used_at_this_moment() -> None:
    def offered(talk: Talk) -> set[bytes]:
        answer = talk.say(b"EHLO c")
        return {line[4:].split(b" ")[0] for line in answer.split(b"\r\n")[1:-1]}

    always = {b"PIPELINING", b"SIZE", b"8BITMIME", b"ENHANCEDSTATUSCODES", b"SMTPUTF8"}
    assert offered(Talk()) == always | {b"STARTTLS"}
    assert offered(Talk(tls=True)) == always
    assert offered(Talk(Role.SUBMISSION)) == always | {b"STARTTLS"}
    talk = Talk(Role.SUBMISSION, tls=True)
    assert offered(talk) == always | {b"AUTH"}
    talk.say(b"AUTH PLAIN AGEAc2VjcmV0")
    assert offered(talk) == always


def test_a_refusal_of_the_owner_leaves_the_state_as_it_was() -> None:
    answers: list[Reply] = []

    def owner(event: Event) -> Reply:
        return answers.pop(0)

    talk = Talk(owner=owner)
    talk.say(b"EHLO c")
    answers.append(replies.reply(550, "5.7.1", "no"))
    talk.say(b"MAIL FROM:<a@b>")
    assert talk.say(b"RCPT TO:<a@b>").startswith(b"503")
    answers.extend([replies.SENDER_OK, replies.reply(550, "5.1.1", "no")])
    talk.say(b"MAIL FROM:<a@b>")
    talk.say(b"RCPT TO:<a@b>")
    assert talk.say(b"DATA").startswith(b"503")
    answers.extend([replies.OK, replies.reply(451, "4.3.0", "later"), replies.SEND_LETTER])
    talk.say(b"RCPT TO:<a@b>")
    assert talk.say(b"DATA").startswith(b"451")
    assert talk.say(b"DATA").startswith(b"354")


def test_a_refused_letter_ends_the_transaction_and_nothing_else() -> None:
    talk = Talk()
    talk.feed([b"EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\na\nb\r\n.\r\nDATA\r\n"])
    assert talk.codes[-2:] == [554, 503]
    assert any(isinstance(event, events.LetterRefused) for event in talk.seen)
    assert talk.say(b"MAIL FROM:<a@b>").startswith(b"250")


@pytest.mark.parametrize(("body", "code"), [(b"x" * 1001, 552), (b"a\0b", 554), (b"a\rb", 554), (b"ok", 250)])
def test_bad_bytes_are_refused_at_the_letter_s_end(body: bytes, code: int) -> None:
    talk = Talk()
    talk.feed([b"EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n" + body + b"\r\n.\r\nNOOP\r\n"])
    assert talk.codes[-2:] == [code, 250]


def test_recipients_past_the_limit_are_refused_for_now_without_counting_as_errors() -> None:
    talk = Talk()
    talk.feed([b"EHLO c\r\nMAIL FROM:<a@b>\r\n" + b"RCPT TO:<c@d>\r\n" * 40])
    assert talk.codes[3:] == [250] * 3 + [452] * 37


# ---- STARTTLS


def test_everything_before_tls_is_forgotten() -> None:
    talk = Talk()
    talk.say(b"EHLO before.test")
    assert talk.say(b"STARTTLS").startswith(b"220")
    assert talk.session.state is State.CONNECTED
    assert talk.session.hello_name == ""
    assert talk.say(b"MAIL FROM:<a@b>").startswith(b"503")
    talk.say(b"EHLO after.test")
    assert talk.say(b"STARTTLS").startswith(b"503")
    assert talk.session.protocol_keyword == "ESMTPS"


@pytest.mark.parametrize("injected", [b"NOOP\r\n", b"MAIL FROM:<a@b>\r\n", b"x", b"\r\n"])
def test_bytes_behind_starttls_end_the_connection_unread(injected: bytes) -> None:
    talk = Talk()
    talk.say(b"EHLO c")
    talk.feed([b"STARTTLS\r\n" + injected])
    assert talk.codes[-1] == 501
    assert talk.closed
    assert events.START_TLS not in talk.seen


def test_bytes_in_the_clear_that_come_during_the_handshake_are_forgotten() -> None:
    session = ServerSession("mx.test", Role.MX, ServerLimits(1000, 3))
    session.receive(b"EHLO c\r\nSTARTTLS\r\n")
    assert session.next_event() is events.START_TLS
    assert session.next_event() is events.PAUSED
    session.receive(b"EHLO injected\r\n")
    assert session.next_event() is events.PAUSED
    session.data_to_send()
    session.tls_started()
    assert session.next_event() is events.NEED_DATA
    assert session.data_to_send() == b""
    assert session.hello_name == ""


def test_starttls_is_refused_within_a_transaction() -> None:
    talk = Talk()
    talk.feed([b"EHLO c\r\nMAIL FROM:<a@b>\r\nSTARTTLS\r\n"])
    assert talk.codes[-1] == 503


# ---- AUTH


def submission() -> Talk:
    talk = Talk(Role.SUBMISSION, tls=True)
    talk.say(b"EHLO c")
    return talk


@pytest.mark.parametrize(
    "lines",
    [
        [b"AUTH PLAIN AGEAc2VjcmV0"],
        [b"auth plain", b"AGEAc2VjcmV0"],
        [b"AUTH LOGIN", b"YQ==", b"c2VjcmV0"],
        [b"AUTH LOGIN YQ==", b"c2VjcmV0"],
    ],
)
def test_every_way_to_log_in(lines: list[bytes]) -> None:
    talk = submission()
    answers = [talk.say(line) for line in lines]
    assert [answer[:3] for answer in answers] == [b"334"] * (len(lines) - 1) + [b"235"]
    assert talk.session.authenticated
    assert talk.session.protocol_keyword == "ESMTPSA"
    assert talk.say(b"AUTH PLAIN AGEAc2VjcmV0").startswith(b"503")
    assert talk.say(b"MAIL FROM:<a@b> AUTH=<>").startswith(b"250")


@pytest.mark.parametrize(
    ("lines", "answer"),
    [
        ([b"AUTH PLAIN AGEAd3Jvbmc="], b"535"),
        ([b"AUTH PLAIN !"], b"501"),
        ([b"AUTH PLAIN AA=="], b"501"),
        ([b"AUTH PLAIN", b"*"], b"501"),
        ([b"AUTH LOGIN", b"YQ==", b"*"], b"501"),
        ([b"AUTH GSSAPI"], b"504"),
        ([b"AUTH"], b"504"),
        ([b"AUTH PLAIN", b"x" * 12_289], b"500"),
    ],
)
def test_a_failed_login_leaves_a_session_that_goes_on(lines: list[bytes], answer: bytes) -> None:
    talk = submission()
    for line in lines[:-1]:
        talk.say(line)
    assert talk.say(lines[-1]).startswith(answer)
    assert not talk.session.authenticated
    assert talk.say(b"MAIL FROM:<a@b>").startswith(b"530")
    assert talk.say(b"AUTH PLAIN AGEAc2VjcmV0").startswith(b"235")


def test_a_login_of_12288_octets_is_read() -> None:
    talk = submission()
    talk.say(b"AUTH PLAIN")
    assert talk.say(b"A" * 12_288).startswith(b"501")


def test_a_login_is_not_shown_in_its_repr() -> None:
    assert "secret" not in repr(events.Login(Credentials("PLAIN", "a", "secret")))


# ---- bounds


def test_a_long_line_is_refused_once_and_skipped_to_its_end() -> None:
    talk = Talk()
    long_line = b"EHLO " + b"a" * 30_000
    talk.feed(chunks_of(long_line + b"\r\nNOOP\r\n", 1_000))
    assert talk.codes == [220, 500, 250]
    longest = b"NOOP " + b"a" * (COMMAND_LINE_BYTES - 5)
    assert talk.say(longest).startswith(b"250")
    assert talk.say(longest + b"a").startswith(b"500 5.5.2")


def test_an_endless_line_costs_no_memory_and_ends_the_connection() -> None:
    talk = Talk()
    for _ in range(200):
        talk.feed([b"(" * 10_000])
        assert len(talk.session._in) < 20_000
    assert talk.closed
    assert talk.codes == [220, 500, 421]


def test_ten_bad_commands_are_borne_and_the_eleventh_ends_it() -> None:
    talk = Talk()
    talk.feed([b"FOO\r\n" * 20])
    assert talk.codes == [220] + [500] * limits.BAD_COMMAND_COUNT + [421]
    assert talk.closed


def test_a_flood_of_commands_without_a_letter_ends() -> None:
    talk = Talk()
    talk.feed([b"EHLO c\r\n" + b"NOOP\r\n" * 1000])
    assert talk.codes[-1] == 421
    assert len(talk.codes) <= limits.IDLE_COMMAND_COUNT + 3


def test_a_connection_may_carry_any_number_of_letters() -> None:
    talk = Talk()
    talk.say(b"EHLO c")
    for _ in range(300):
        talk.feed([b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nx\r\n.\r\nRSET\r\n"])
    assert len(talk.letters) == 300
    assert not talk.closed


@pytest.mark.parametrize("verb", [b"GET / HTTP/1.1", b"POST / HTTP/1.0", b"PRI * HTTP/2.0", b"OPTIONS *"])
def test_a_browser_is_sent_away_at_once(verb: bytes) -> None:
    talk = Talk()
    talk.feed([verb + b"\r\nHost: mx\r\n\r\nEHLO c\r\nMAIL FROM:<a@b>\r\n"])
    assert talk.codes == [220, 554]
    assert talk.closed


def test_the_end_of_the_stream_ends_the_session_wherever_it_is() -> None:
    for said in (b"", b"EHLO", b"EHLO c\r\nMAIL FROM:<a@b>\r\n", PIPELINED[: PIPELINED.index(b"..dot")]):
        talk = Talk()
        talk.feed([said, b""])
        assert talk.closed
        assert not talk.letters


def test_a_421_of_the_owner_closes() -> None:
    talk = Talk(owner=lambda _: replies.SHUTTING_DOWN)
    talk.feed([b"EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\n"])
    assert talk.codes[-1] == 421
    assert talk.closed
