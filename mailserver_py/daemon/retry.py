"""When to try again and when to give up: RFC 5321 §4.5.4.1. Pure arithmetic on the settings' queue rules."""

from __future__ import annotations

from mailserver_py.spec.model import QueueRules


def next_attempt_at_s(rules: QueueRules, received_at_s: int, attempt_count: int, now_s: int) -> int | None:
    """When the recipient is due again after `attempt_count` failed attempts (at least 1); None: give up.

    The last try is at the moment of giving up itself, so that a peer that comes back late in the last wait
    still gets the letter. A clock set back never brings a wait longer than the schedule's.
    """
    give_up_at_s = received_at_s + rules.give_up
    if now_s >= give_up_at_s:
        return None
    waits = rules.retry or (rules.give_up,)
    wait_s = waits[min(max(attempt_count, 1), len(waits)) - 1]
    return min(now_s + wait_s, max(give_up_at_s, now_s + 1))
