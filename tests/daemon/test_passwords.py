"""Logins: who gets in, and how often one may guess."""

from __future__ import annotations

import asyncio

import argon2
import pytest

from mailserver_py.daemon import passwords as subject
from mailserver_py.daemon.guesses import ADDRESS, Guesses
from mailserver_py.daemon.passwords import ArgonPasswords
from mailserver_py.wire.sasl import Keys
from mailserver_py.wire.sasl.keys import derive_keys

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
        for number in range(5):
            assert not await checker.verify("alice@example.org", f"wrong {number}")
        assert count == 6
        time.s += subject.REMEMBER_S + 1
        assert await checker.verify("alice@example.org", "secret")
        assert count == 7

    asyncio.run(case())


def test_guesses_run_out_for_an_address_and_nobody_else_is_locked_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subject, "LATE_NO_S", 0.0)
    monkeypatch.setattr(subject, "_matches", lambda text, password: password == "secret")

    async def case() -> None:
        checker = make()
        for number in range(ADDRESS.minute_count):
            assert not await checker.verify("alice@example.org", f"wrong {number}", "192.0.2.1")
        assert not await checker.verify("alice@example.org", "secret", "192.0.2.1")
        # Nobody else is locked out,
        assert await checker.verify("alice@example.org", "secret", "192.0.2.2")
        # and what just worked works behind the guesser's address too.
        assert await checker.verify("alice@example.org", "secret", "192.0.2.1")
        assert not await checker.verify("alice@example.org", "secreT", "192.0.2.1")

    asyncio.run(case())


def test_the_same_wrong_password_again_is_no_new_guess_and_not_hashed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subject, "LATE_NO_S", 0.0)
    hashed: list[str] = []

    def matches(text: str, password: str) -> bool:
        hashed.append(password)
        return password == "secret"

    monkeypatch.setattr(subject, "_matches", matches)

    async def case() -> None:
        checker = make()
        for _ in range(5 * ADDRESS.minute_count):
            assert not await checker.verify("alice@example.org", "old", "192.0.2.1")
            assert not await checker.verify("nobody@example.org", "old", "192.0.2.1")
        assert hashed == ["old", "old"]
        assert await checker.verify("alice@example.org", "secret", "192.0.2.1")

    asyncio.run(case())


def test_logins_at_once_have_no_more_guesses_than_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subject, "LATE_NO_S", 0.0)
    count = 0

    def matches(text: str, password: str) -> bool:
        nonlocal count
        count += 1
        return False

    monkeypatch.setattr(subject, "_matches", matches)

    async def case() -> None:
        checker = make()
        await asyncio.gather(*(checker.verify("alice@example.org", str(n), "192.0.2.1") for n in range(50)))

    asyncio.run(case())
    assert count == ADDRESS.minute_count


# ---- SCRAM

KEYS = {"alice@example.org": derive_keys("secret", b"0123456789abcdef", 4096)}


def scram(keys: dict[str, Keys] | None = None, guesses: Guesses | None = None) -> ArgonPasswords:
    return ArgonPasswords(
        HASHES, frozenset({"alice@example.org"}), keys=KEYS if keys is None else keys, guesses=guesses
    )


def test_scram_is_offered_when_every_account_has_keys() -> None:
    assert scram().offers_scram
    assert not scram({}).offers_scram
    assert not make().offers_scram


def test_a_proven_exchange_opens_the_account_and_no_other_does() -> None:
    async def case() -> None:
        checker = scram()
        begun = await checker.begin_scram("Alice@EXAMPLE.org", "192.0.2.1")
        assert begun.keys == KEYS["alice@example.org"]
        assert checker.end_scram(begun, proven=True) == "alice@example.org"
        assert checker.end_scram(begun, proven=False) is None
        for name in ("gone@example.org", "nobody@example.org", "nonsense"):
            begun = await checker.begin_scram(name, "192.0.2.1")
            assert checker.end_scram(begun, proven=True) is None

    asyncio.run(case())


def test_made_up_keys_stay_the_same_for_a_name_and_look_like_the_others() -> None:
    async def case() -> None:
        guesses = Guesses(None, Time())
        one, other = scram(guesses=guesses), scram(guesses=guesses)
        nobody = (await one.begin_scram("nobody@example.org")).keys
        assert nobody == (await other.begin_scram("NOBODY@example.org")).keys
        assert nobody.salt != (await one.begin_scram("nobody2@example.org")).keys.salt
        real = KEYS["alice@example.org"]
        assert (len(nobody.salt), nobody.iteration_count) == (len(real.salt), real.iteration_count)

    asyncio.run(case())


def test_without_a_guess_left_the_salt_is_the_same_but_no_password_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subject, "LATE_NO_S", 0.0)

    async def case() -> None:
        checker = scram()
        for _ in range(ADDRESS.minute_count):
            begun = await checker.begin_scram("alice@example.org", "192.0.2.1")
            assert checker.end_scram(begun, proven=False) is None
        begun = await checker.begin_scram("alice@example.org", "192.0.2.1")
        real = KEYS["alice@example.org"]
        assert begun.keys.salt == real.salt
        assert begun.keys.stored_key != real.stored_key
        assert checker.end_scram(begun, proven=True) is None
        begun = await checker.begin_scram("alice@example.org", "192.0.2.2")
        assert checker.end_scram(begun, proven=True) == "alice@example.org"

    asyncio.run(case())
