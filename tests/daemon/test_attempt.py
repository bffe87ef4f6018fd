"""The decision core of a delivery attempt, as the story of one: what was tried, what came of it."""

from __future__ import annotations

import pytest

from mailserver_py.daemon.attempt import Attempt, Fate, Step
from mailserver_py.daemon.route import Target, Verdict
from mailserver_py.smtp.client_events import Failed, Sent, Stage, StartTls
from mailserver_py.smtp.replies import Reply, reply

ONE = Target("mx1.example", "198.51.100.1")
TWO = Target("mx2.example", "198.51.100.2")
OK = reply(250, "2.0.0", "queued")
NO_USER = reply(550, "5.1.1", "no such user")
LATER = reply(451, "4.7.1", "greylisted")


def fates(attempt: Attempt) -> list[tuple[str, str]]:
    assert attempt.next_step is None
    return [(result.fate.value, result.status) for result in attempt.results]


def test_each_recipient_gets_its_own_reply() -> None:
    attempt = Attempt([ONE, TWO], 3)
    assert attempt.next_step == Step(ONE, StartTls.WHEN_OFFERED)
    attempt.sent(Sent((OK, NO_USER, LATER)), tls=True)
    assert fates(attempt) == [("sent", "2.0.0"), ("failed", "5.1.1"), ("deferred", "4.7.1")]
    assert attempt.results[0].host == "mx1.example"
    assert attempt.results[0].tls


def test_the_next_address_is_tried_when_one_cannot_be_reached() -> None:
    attempt = Attempt([ONE, TWO], 1)
    attempt.unreachable("refused")
    assert attempt.next_step == Step(TWO, StartTls.WHEN_OFFERED)
    attempt.unreachable("no answer")
    assert fates(attempt) == [("deferred", "4.4.1")]


@pytest.mark.parametrize("said", [reply(421, "4.3.2", "busy"), reply(554, "5.7.1", "go away")], ids=str)
def test_the_next_address_is_tried_when_one_refuses_at_the_greeting(said: Reply) -> None:
    attempt = Attempt([ONE, TWO], 1)
    attempt.failed(Failed(Stage.GREETING, "refused", said), tls=False)
    assert attempt.next_step == Step(TWO, StartTls.WHEN_OFFERED)
    attempt.sent(Sent((OK,)), tls=False)
    assert fates(attempt) == [("sent", "2.0.0")]


def test_all_refusing_for_good_is_permanent() -> None:
    attempt = Attempt([ONE, TWO], 1)
    for _ in range(2):
        attempt.failed(Failed(Stage.GREETING, "refused", reply(554, "5.7.1", "go away")), tls=False)
    assert fates(attempt) == [("failed", "5.7.1")]


def test_one_refusing_for_good_and_one_silent_is_temporary() -> None:
    attempt = Attempt([ONE, TWO], 1)
    attempt.failed(Failed(Stage.GREETING, "refused", reply(554, "5.7.1", "go away")), tls=False)
    attempt.unreachable("no answer")
    assert fates(attempt) == [("deferred", "4.4.1")]


def test_a_refused_recipient_is_not_offered_elsewhere() -> None:
    attempt = Attempt([ONE, TWO], 2)
    attempt.failed(Failed(Stage.DATA, "the connection was lost", None, (NO_USER, None)), tls=False)
    assert attempt.next_step == Step(TWO, StartTls.WHEN_OFFERED)
    assert attempt.waiting == (1,)
    attempt.sent(Sent((OK,)), tls=False)
    assert fates(attempt) == [("failed", "5.1.1"), ("sent", "2.0.0")]


@pytest.mark.parametrize("stage", [Stage.LETTER, Stage.END_OF_LETTER])
def test_lost_after_the_letter_is_not_sent_elsewhere(stage: Stage) -> None:
    attempt = Attempt([ONE, TWO], 1)
    attempt.failed(Failed(stage, "the connection was lost", None, (None,)), tls=False)
    assert fates(attempt) == [("deferred", "4.4.2")]


def test_a_refusal_in_the_middle_of_the_letter_counts() -> None:
    attempt = Attempt([ONE, TWO], 1)
    attempt.failed(Failed(Stage.LETTER, "refused", reply(552, "5.3.4", "too big"), (None,)), tls=False)
    assert fates(attempt) == [("failed", "5.3.4")]


def test_a_failed_handshake_tries_the_same_address_in_the_clear_once() -> None:
    attempt = Attempt([ONE, TWO], 1)
    attempt.tls_failed("handshake failure")
    assert attempt.next_step == Step(ONE, StartTls.NEVER)
    attempt.unreachable("refused")
    assert attempt.next_step == Step(TWO, StartTls.WHEN_OFFERED)


def test_a_connection_to_ourselves_ends_it_for_good() -> None:
    attempt = Attempt([ONE, TWO], 2)
    attempt.looped()
    assert fates(attempt) == [("failed", "5.4.6")] * 2


@pytest.mark.parametrize(
    ("verdict", "fate"),
    [(Verdict(True, "5.1.10", "null MX"), Fate.FAILED), (Verdict(False, "4.4.3", "no DNS"), Fate.DEFERRED)],
    ids=["permanent", "temporary"],
)
def test_nowhere_to_go_is_a_result_too(verdict: Verdict, fate: Fate) -> None:
    attempt = Attempt(verdict, 2)
    assert attempt.next_step is None
    assert [result.fate for result in attempt.results] == [fate, fate]


def test_a_status_of_the_wrong_class_is_not_believed() -> None:
    attempt = Attempt([ONE], 1)
    attempt.sent(Sent((reply(550, "2.0.0", "nonsense"),)), tls=False)
    assert fates(attempt) == [("failed", "5.0.0")]
