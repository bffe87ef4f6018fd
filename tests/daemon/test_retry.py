"""The retry schedule."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.daemon.retry import next_attempt_at_s
from mailserver_py.spec.model import QueueRules

RULES = QueueRules()
DAY_S = 86_400


def test_waits_follow_the_schedule_and_the_last_repeats() -> None:
    now_s, waits = 0, []
    for attempt_count in range(1, 7):
        due = next_attempt_at_s(RULES, 0, attempt_count, now_s)
        assert due is not None
        waits.append(due - now_s)
        now_s = due
    assert waits == [300, 900, 3_600, 14_400, 14_400, 14_400]


def test_the_last_attempt_is_at_the_end_itself_and_then_it_is_over() -> None:
    end_s = int(RULES.give_up)
    assert next_attempt_at_s(RULES, 0, 9, end_s - 100) == end_s
    assert next_attempt_at_s(RULES, 0, 10, end_s) is None


@given(st.integers(0, 2**31), st.integers(1, 100), st.integers(-20 * DAY_S, 20 * DAY_S))
def test_the_next_attempt_is_always_later_and_never_far(received: int, count: int, offset: int) -> None:
    now_s = max(0, received + offset)
    due = next_attempt_at_s(RULES, received, count, now_s)
    assert due is None or now_s < due <= now_s + 14_400
