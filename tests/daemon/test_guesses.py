"""Guesses: who may go on, who may not, and that nobody locks an owner out."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailserver_py.daemon import guesses as subject
from mailserver_py.daemon.guesses import ACCOUNT, ADDRESS, FRESH, HOME, NETWORK, Guesses

ALICE = "alice@example.org"


class Time:
    def __init__(self) -> None:
        self.s = 1_800_000_000.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def guesses(time: Time) -> Guesses:
    return Guesses(None, time)


def fail(guesses: Guesses, address: str, *, account: str = "", limit: int = 100) -> int:
    """Guesses at other accounts each time, unless one is named; how many were allowed."""
    for count in range(limit):
        if guesses.take(account or f"a{count}@example.org", address) is None:
            return count
    return limit


def test_an_address_has_its_guesses_and_gets_them_back_slowly(guesses: Guesses, time: Time) -> None:
    assert fail(guesses, "192.0.2.1") == ADDRESS.minute_count
    time.s += 60 / ADDRESS.minute_count
    assert fail(guesses, "192.0.2.1") == 1
    total = ADDRESS.minute_count + 1
    for _ in range(60):
        time.s += 60
        total += fail(guesses, "192.0.2.1")
    assert ADDRESS.day_count <= total <= ADDRESS.day_count + 3
    for _ in range(23):
        time.s += 3_600
        total += fail(guesses, "192.0.2.1")
    assert total <= 2 * ADDRESS.day_count + 3


def test_a_network_has_a_few_times_the_guesses_of_an_address(guesses: Guesses) -> None:
    allowed = sum(fail(guesses, f"192.0.2.{host}") for host in range(60))
    assert allowed == NETWORK.minute_count
    assert fail(guesses, "192.0.2.130") > 0
    allowed = sum(fail(guesses, f"2001:db8:1:{net:x}::1") for net in range(60))
    assert allowed == NETWORK.minute_count


def test_all_addresses_of_a_customers_network_are_one(guesses: Guesses) -> None:
    allowed = sum(fail(guesses, f"2001:db8::{host:x}") for host in range(1, 30))
    assert allowed == ADDRESS.minute_count


def test_guesses_that_are_under_way_count(guesses: Guesses) -> None:
    taken = [guesses.take(ALICE, "192.0.2.1") for _ in range(ADDRESS.minute_count + 1)]
    assert taken[-1] is None
    assert taken[0] is not None
    guesses.give_back(taken[0])
    assert guesses.take(ALICE, "192.0.2.1") is not None


def crowd(guesses: Guesses, *, count: int = 2 * ACCOUNT.minute_count) -> int:
    """So many machines all over the world guess at Alice's password once."""
    return sum(guesses.take(ALICE, f"{10 + n}.{n}.0.1") is not None for n in range(count))


def test_a_crowd_that_guesses_at_an_account_does_not_lock_its_owner_out(guesses: Guesses) -> None:
    crowd(guesses)
    assert guesses.take(ALICE, "198.51.100.1") is not None


def test_of_a_crowd_each_has_but_a_few_guesses_at_one_account(guesses: Guesses) -> None:
    crowd(guesses)
    assert fail(guesses, "198.51.100.1", account=ALICE) == FRESH.minute_count
    assert fail(guesses, "198.51.100.1") == ADDRESS.minute_count - FRESH.minute_count


def test_where_an_account_is_at_home_nobody_elses_guesses_count(guesses: Guesses, time: Time) -> None:
    guess = guesses.take(ALICE, "192.0.2.1")
    assert guess is not None
    guesses.worked(guess)
    fail(guesses, "192.0.2.1")
    crowd(guesses)
    assert guesses.take("bob@example.org", "192.0.2.1") is None
    assert fail(guesses, "192.0.2.1", account=ALICE) == HOME.minute_count
    time.s += subject.KNOWN_S + 1
    assert fail(guesses, "192.0.2.1", account=ALICE) == ADDRESS.minute_count


def test_what_worked_was_no_guess(guesses: Guesses) -> None:
    for number in range(5 * ADDRESS.minute_count):
        guess = guesses.take(f"a{number}@example.org", "192.0.2.1")
        assert guess is not None
        guesses.worked(guess)
    assert fail(guesses, "192.0.2.1", account=ALICE) == ADDRESS.minute_count


def test_processes_share_the_count_and_a_restart_keeps_it(tmp_path: Path, time: Time) -> None:
    one, other = Guesses(tmp_path / "guesses", time), Guesses(tmp_path / "guesses", time)
    assert fail(one, "192.0.2.1") == ADDRESS.minute_count
    assert fail(other, "192.0.2.1") == 0
    assert one.secret == other.secret != Guesses(None, time).secret
    one.close()
    other.close()
    again = Guesses(tmp_path / "guesses", time)
    assert fail(again, "192.0.2.1") == 0
    assert again.secret == one.secret
    assert (tmp_path / "guesses").stat().st_mode & 0o77 == 0
    assert ALICE.encode() not in (tmp_path / "guesses").read_bytes()


def test_a_clock_set_back_locks_nobody_out_for_longer_than_a_day(guesses: Guesses, time: Time) -> None:
    fail(guesses, "192.0.2.1")
    time.s -= 10 * subject.DAY_S
    assert fail(guesses, "192.0.2.1") == 0
    time.s += subject.DAY_S
    assert fail(guesses, "192.0.2.1", account=ALICE) == ADDRESS.minute_count


def test_a_full_table_forgets_but_does_not_grow(time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "SET_COUNT", 2)
    guesses = Guesses(None, time)
    for number in range(200):
        guesses.take(f"a{number}@example.org", f"10.{number}.0.1")
    assert guesses.take(ALICE, "192.0.2.1") is not None


@pytest.mark.parametrize("address", ["", "nonsense", "fe80::1%eth0", "::ffff:192.0.2.1"])
def test_any_text_is_an_address_that_counts(guesses: Guesses, address: str) -> None:
    assert fail(guesses, address) == ADDRESS.minute_count
