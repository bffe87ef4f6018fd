"""Random conversations against a model of sixty lines: the session's state is the model's after every reply
(promises S08).
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailserver_py.smtp import events, replies
from mailserver_py.smtp.events import Event
from mailserver_py.smtp.extensions import Role
from mailserver_py.smtp.replies import Reply

from .conversation import Talk, yes

LINES = (
    b"HELO c", b"EHLO c", b"EHLO", b"MAIL FROM:<a@b>", b"MAIL FROM:<>", b"MAIL FROM:<a", b"MAIL FROM:<a@b> X=1",
    b"RCPT TO:<c@d>", b"RCPT TO:<", b"DATA", b"DATA x", b"RSET", b"NOOP", b"VRFY \xc3\xbc", b"EXPN x",
    b"HELP", b"STARTTLS", b"AUTH PLAIN AGEAc2VjcmV0", b"AUTH PLAIN AGEAYg==", b"AUTH PLAIN !", b"BDAT 1", b"\xff",
)  # fmt: skip
NO = replies.reply(550, "5.7.1", "no")


@dataclass
class Model:
    """What RFC 5321 makes of a session, in the plainest form."""

    submission: bool
    hello: str = ""
    tls: bool = False
    login: bool = False
    mail: bool = False
    recipients: int = 0

    def take(self, line: bytes, refuses: bool) -> int:
        """The code that is due, and the state after it."""
        word, _, argument = line.partition(b" ")
        if line == b"\xff":
            return 500
        if word in (b"HELO", b"EHLO"):
            if not argument:
                return 501
            self.hello, self.mail, self.recipients = word.decode(), False, 0
            return 250
        if word in (b"NOOP", b"VRFY", b"EXPN", b"HELP", b"BDAT"):
            return {b"NOOP": 250, b"VRFY": 252, b"EXPN": 502, b"HELP": 214, b"BDAT": 500}[word]
        if word == b"RSET":
            self.mail, self.recipients = False, 0
            return 250
        if word == b"STARTTLS":
            if self.tls or self.hello != "EHLO" or self.mail:
                return 503
            self.tls, self.hello, self.login = True, "", False
            return 220
        if word == b"AUTH":
            return self._auth(argument)
        if word == b"MAIL":
            return self._mail(argument, refuses)
        if word == b"RCPT":
            if not self.mail:
                return 503
            if argument == b"TO:<":
                return 501
            if self.recipients >= 3:
                return 452
            self.recipients += not refuses
            return 550 if refuses else 250
        assert word == b"DATA"
        if not self.recipients:
            return 503
        if argument:
            return 501
        if not refuses:
            self.mail, self.recipients = False, 0
        return 550 if refuses else 354

    def _auth(self, argument: bytes) -> int:
        if self.hello != "EHLO" or not self.submission or not self.tls or self.login:
            if self.submission and not self.tls:
                return 538
            return 503 if self.login or self.hello != "EHLO" else 502
        if self.mail:
            return 503
        if argument.endswith(b"!"):
            return 501
        self.login = argument.endswith(b"c2VjcmV0")
        return 235 if self.login else 535

    def _mail(self, argument: bytes, refuses: bool) -> int:
        if not self.hello or self.mail:
            return 503
        if self.submission and not self.login:
            return 530
        if argument == b"FROM:<a":
            return 501
        if argument.endswith(b"X=1"):
            return 555
        self.mail, self.recipients = not refuses, 0
        return 550 if refuses else 250


@settings(max_examples=300, deadline=None)
@given(
    st.booleans(),
    st.lists(st.tuples(st.sampled_from(LINES), st.sampled_from((False, False, True))), max_size=60),
)
def test_the_session_is_where_the_model_is(submission: bool, steps: list[tuple[bytes, bool]]) -> None:
    refuses = False

    def owner(event: Event) -> Reply:
        return (
            NO
            if refuses and not isinstance(event, events.Login) and event is not events.LETTER_END
            else yes(event)
        )

    model = Model(submission)
    talk = Talk(Role.SUBMISSION if submission else Role.MX, owner=owner)
    talk.session._bad_count = -10_000
    for line, refuses in steps:
        wanted = model.take(line, refuses)
        assert int(talk.say(line)[:3]) == wanted, (line, steps)
        if wanted == 354:
            assert talk.say(b"Subject: x\r\n\r\n.").startswith(b"250")
        assert talk.session.tls_active == model.tls
        assert talk.session.authenticated == model.login


@pytest.mark.long
@pytest.mark.timeout(3_600)
@settings(max_examples=100_000, deadline=None)
@given(
    st.booleans(),
    st.lists(
        st.tuples(st.sampled_from(LINES), st.sampled_from((False, False, True))), min_size=10, max_size=60
    ),
)
def test_the_session_is_where_the_model_is_in_the_long_run(
    submission: bool, steps: list[tuple[bytes, bool]]
) -> None:
    test_the_session_is_where_the_model_is.hypothesis.inner_test(submission, steps)  # type: ignore[attr-defined]  # hypothesis's door to the bare test
