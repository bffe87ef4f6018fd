"""Logins: who gets in, and how often one may guess."""

from __future__ import annotations

import asyncio

import argon2
import pytest

from mailserver_py.daemon import passwords as subject
from mailserver_py.daemon.passwords import GUESS_EARNED_S, GUESSES_COUNT, ArgonPasswords

CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
HASHES = {"alice@example.org": CHEAP.hash("secret"), "gone@example.org": CHEAP.hash("secret")}


class Time:
    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


def make(time: Time | None = None) -> ArgonPasswords:
    return ArgonPasswords(HASHES, frozenset({"alice@example.org"}), monotonic_s=time or Time())


@pytest.mark.parametrize(
    ("address", "password", "expected"),
    [
        ("alice@example.org", "secret", "alice@example.org"),
        ("Alice@EXAMPLE.org", "secret", "alice@example.org"),
        ("alice@example.org", "wrong", None),
        ("alice@example.org", "", None),
        ("alice", "secret", None),
        ("nobody@example.org", "secret", None),
        ("gone@example.org", "secret", None),
        ("alice@example.org", "x" * 1_000_000, None),
        ("alice@example.org\0", "secret", None),
        ("", "", None),
        ("alice@example.org", "\ud800", None),
    ],
    ids=[
        "right",
        "case",
        "wrong",
        "empty",
        "bare",
        "unknown",
        "disabled",
        "long",
        "nul",
        "nothing",
        "surrogate",
    ],
)
def test_who_gets_in(address: str, password: str, expected: str | None) -> None:
    assert asyncio.run(make().verify(address, password, "192.0.2.1")) == expected


def test_an_unknown_address_costs_a_hash_of_the_same_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def matches(text: str, password: str) -> bool:
        seen.append(text)
        return False

    monkeypatch.setattr(subject, "_matches", matches)
    asyncio.run(make().verify("nobody@example.org", "secret"))
    assert argon2.extract_parameters(seen[0]) == argon2.extract_parameters(HASHES["alice@example.org"])


def test_a_success_is_remembered_for_a_while_and_a_failure_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0

    def matches(text: str, password: str) -> bool:
        nonlocal count
        count += 1
        return password == "secret"

    monkeypatch.setattr(subject, "_matches", matches)

    async def case() -> None:
        time = Time()
        checker = make(time)
        for _ in range(5):
            assert await checker.verify("alice@example.org", "secret")
        assert count == 1
        for _ in range(5):
            assert not await checker.verify("alice@example.org", "wrong")
        assert count == 6
        time.s += subject.REMEMBER_S + 1
        assert await checker.verify("alice@example.org", "secret")
        assert count == 7

    asyncio.run(case())


def test_guesses_run_out_for_an_address_and_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "LATE_NO_S", 0.0)
    monkeypatch.setattr(subject, "_matches", lambda text, password: password == "secret")

    async def case() -> None:
        time = Time()
        checker = make(time)
        for _ in range(GUESSES_COUNT):
            assert not await checker.verify("alice@example.org", "wrong", "192.0.2.1")
        assert not await checker.verify("alice@example.org", "secret", "192.0.2.1")
        # Nobody else is locked out,
        assert await checker.verify("alice@example.org", "secret", "192.0.2.2")
        # and what just worked works behind the guesser's address too.
        assert await checker.verify("alice@example.org", "secret", "192.0.2.1")
        assert not await checker.verify("alice@example.org", "secreT", "192.0.2.1")
        time.s += GUESS_EARNED_S * 2
        assert checker._may_guess("192.0.2.1")

    asyncio.run(case())
