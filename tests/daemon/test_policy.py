"""The house's decisions: who a path reaches, as whom an account may send, how much room there is."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from mailserver_py.daemon.policy import replies
from mailserver_py.daemon.policy.recipients import Recipients, merge
from mailserver_py.daemon.policy.senders import Senders
from mailserver_py.daemon.policy.space import PLENTY_LETTERS, REMEMBER_S, Space
from mailserver_py.daemon.trace_fields import return_path_field, without_return_path
from mailserver_py.mailstore.port import Store
from mailserver_py.mailstore.values import (
    LetterDamaged,
    NewRecipient,
    NoSuchMailbox,
    OverQuota,
    StoreFull,
    StoreUnavailable,
    Usage,
)
from mailserver_py.message.header import parse_header
from mailserver_py.smtp.paths import Path
from mailserver_py.smtp.replies import Reply

from .smtp_world import ALICE, BOB, settings


def reached(address: str, *, may_relay: bool = False, **changes: Any) -> list[str] | str:
    """Where a path leads: accounts and outside addresses, or the refusal's status."""
    local, _, domain = address.rpartition("@")
    found = Recipients(settings(**changes)).resolve(Path(local, domain), may_relay=may_relay)
    return (
        found.enhanced
        if isinstance(found, Reply)
        else [item.account or f"-> {item.forward_path}" for item in found]
    )


@pytest.mark.parametrize(
    ("address", "where"),
    [
        (ALICE, [ALICE]),
        ("ALICE@Lab.Test", [ALICE]),
        ("al@lab.test", [ALICE]),
        ("alice+shop@lab.test", [ALICE]),
        ("alice+a+b@lab.test", [ALICE]),
        ("al+shop@lab.test", [ALICE]),
        ("team+x@lab.test", [ALICE, BOB]),
        ("odd+tag@lab.test", [BOB]),
        ("odd+other@lab.test", "5.1.1"),
        ("+shop@lab.test", "5.1.1"),
        ("team@lab.test", [ALICE, BOB]),
        ("away@lab.test", ["-> someone@peer.test", BOB]),
        ("carol@lab.test", "5.2.1"),
        ("nobody@lab.test", "5.1.1"),
        ("anything@xn--bcher-kva.test", [ALICE]),
        ("anything@b\u00fccher.test", [ALICE]),
        ("x@peer.test", "5.7.1"),
        ("x@sub.lab.test", "5.7.1"),
        ("x@[192.0.2.1]", "5.7.1"),
        ("x@a..b", "5.7.1"),
    ],
)
def test_who_a_stranger_s_path_reaches(address: str, where: list[str] | str) -> None:
    assert reached(address) == where


def test_a_user_s_letter_may_leave_as_addressed() -> None:
    assert reached("X@Peer.test", may_relay=True) == ["-> X@Peer.test"]
    assert reached("x@[192.0.2.1]", may_relay=True) == ["-> x@[192.0.2.1]"]
    assert reached("nobody@lab.test", may_relay=True) == "5.1.1"
    assert reached("x@a..b", may_relay=True) == "5.1.2"


def test_the_bare_postmaster_is_the_first_domain_s() -> None:
    found = Recipients(settings()).resolve(Path("PostMaster", ""), may_relay=False)
    assert not isinstance(found, Reply)
    assert [item.account for item in found] == [ALICE]


def test_without_a_separator_there_are_no_subaddresses() -> None:
    assert reached("alice+shop@lab.test", subaddress_separator="") == "5.1.1"
    assert reached("alice-shop@lab.test", subaddress_separator="-") == [ALICE]


def test_a_group_reaches_those_of_its_members_that_are_enabled() -> None:
    assert reached("all@lab.test", addresses={"all@lab.test": ("carol@lab.test", BOB)}) == [BOB]
    assert reached("all@lab.test", addresses={"all@lab.test": ("carol@lab.test",)}) == "5.2.1"


def test_an_alias_cannot_take_an_account_s_address() -> None:
    assert reached(ALICE, addresses={ALICE: (BOB,)}) == [ALICE]


def test_a_bounce_will_name_what_the_sender_wrote() -> None:
    found = Recipients(settings()).resolve(Path("Al+x", "lab.test"), may_relay=False)
    assert found == [NewRecipient(ALICE, account=ALICE, original="Al+x@lab.test")]


def test_each_mailbox_and_each_outside_address_is_kept_once_as_first_named() -> None:
    merged = merge(
        [
            NewRecipient(ALICE, account=ALICE, original="al@lab.test"),
            NewRecipient(ALICE, account=ALICE),
            NewRecipient("x@peer.test"),
            NewRecipient("X@PEER.test", original="away@lab.test"),
            NewRecipient(ALICE, account=ALICE, mailbox="Other"),
        ]
    )
    assert [(item.forward_path, item.mailbox, item.original) for item in merged] == [
        (ALICE, "INBOX", "al@lab.test"),
        ("x@peer.test", "INBOX", ""),
        (ALICE, "Other", ""),
    ]


def test_a_domain_is_ours_in_any_spelling() -> None:
    recipients = Recipients(settings())
    assert recipients.is_local_domain("LAB.test")
    assert recipients.is_local_domain("b\u00fccher.test")
    assert not recipients.is_local_domain("peer.test")
    assert not recipients.is_local_domain("")


# ---- senders


@pytest.mark.parametrize(
    ("account", "address", "owned"),
    [
        (ALICE, ALICE, True),
        (ALICE, "Alice@LAB.test", True),
        (ALICE, "alice+x@lab.test", True),
        (ALICE, "al+x@lab.test", True),
        (ALICE, BOB, False),
        (ALICE, "+x@lab.test", False),
        (ALICE, "alice@peer.test", False),
        (ALICE, "alice", False),
        (BOB, ALICE, False),
        ("unknown@lab.test", "unknown@lab.test", False),
    ],
)
def test_an_account_owns_its_addresses_and_their_subaddresses(
    account: str, address: str, owned: bool
) -> None:
    assert Senders(settings()).owns(account, address) is owned


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        (b"From: alice@lab.test\r\n", None),
        (b"From: A <alice@lab.test>, al@lab.test\r\n", None),
        (b"From: team: alice@lab.test, al@lab.test;\r\n", None),
        (b"From: =?utf-8?q?bob=40lab=2Etest?= <alice@lab.test>\r\n", None),
        (b"From: bob@lab.test\r\n", replies.NOT_YOUR_ADDRESS),
        (b"From: alice@lab.test, bob@lab.test\r\n", replies.NOT_YOUR_ADDRESS),
        (b"From: alice@lab.test (x) <bob@lab.test>\r\n", replies.NOT_YOUR_ADDRESS),
        (b"From: alice\r\n", replies.NOT_YOUR_ADDRESS),
        (b"From: \r\n", replies.BAD_FROM),
        (b"From: nobody:;\r\n", replies.BAD_FROM),
        (b"From: alice@lab.test\r\nfrom: alice@lab.test\r\n", replies.BAD_FROM),
        (b"Subject: x\r\n", replies.BAD_FROM),
    ],
)
def test_a_letter_s_author_must_be_its_submitter(fields: bytes, answer: Reply | None) -> None:
    assert Senders(settings()).check_header(ALICE, parse_header(fields + b"\r\n")) == answer


# ---- room


class Room:
    """A store that knows only how full it is."""

    def __init__(self, free_bytes: int, usage: Usage) -> None:
        self._free_bytes = free_bytes
        self._usage = usage
        self.asked = 0

    async def free_bytes(self) -> int:
        self.asked += 1
        return self._free_bytes

    async def account(self, name: str, quota_bytes: int = 0) -> Room:
        return self

    async def usage(self) -> Usage:
        self.asked += 1
        return self._usage


def space_answers(room: Room, sizes: list[tuple[int, int]]) -> list[tuple[Reply | None, Reply | None]]:
    """For each (size, time): what is said of the letter, and of a recipient."""

    async def ask() -> list[tuple[Reply | None, Reply | None]]:
        space = Space(settings())
        store = cast(Store, room)
        return [
            (
                await space.refuse_letter(store, size_bytes, now_s),
                await space.refuse_recipient(store, ALICE, size_bytes, now_s),
            )
            for size_bytes, now_s in sizes
        ]

    return asyncio.run(ask())


MIB = 1 << 20


def test_a_nearly_full_disk_takes_nothing() -> None:
    (answers,) = space_answers(Room(30 * MIB, Usage(0, 0, 0)), [(0, 0)])
    assert answers == (replies.SYSTEM_FULL, None)


@pytest.mark.parametrize(
    ("usage", "size_bytes", "answer"),
    [
        (Usage(100, 1, 100), 0, replies.MAILBOX_FULL),
        (Usage(101, 1, 100), 0, replies.MAILBOX_FULL),
        (Usage(99, 1, 100), 0, None),
        (Usage(99, 1, 100), 2, replies.MAILBOX_FULL),
        (Usage(10**12, 1, 0), MIB, None),
    ],
)
def test_a_full_account_takes_nothing(usage: Usage, size_bytes: int, answer: Reply | None) -> None:
    ((_, found),) = space_answers(Room(10**12, usage), [(size_bytes, 0)])
    assert found == answer


def test_plenty_is_remembered_for_a_while_and_scarcity_is_not() -> None:
    plenty = Room(10**12, Usage(0, 0, (PLENTY_LETTERS + 1) * 26_214_400))
    space_answers(plenty, [(0, 0)] * 10 + [(0, REMEMBER_S)])
    assert plenty.asked == 4
    scarce = Room(100 * MIB, Usage(0, 0, 100 * MIB))
    space_answers(scarce, [(0, 0)] * 10)
    assert scarce.asked == 20


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OverQuota(), 452),
        (StoreFull(), 452),
        (StoreUnavailable(), 451),
        (LetterDamaged(), 451),
        (NoSuchMailbox(), 451),
    ],
)
def test_what_the_store_says_is_temporary(error: Exception, code: int) -> None:
    assert replies.of_store_error(cast(Any, error)).code == code


# ---- Return-Path


def test_return_path_comes_off_as_it_was_put_on() -> None:
    for letter in (b"Received: x\r\n\r\n", b"", b"\r\nReturn-Path: <in the body>\r\n"):
        assert without_return_path(return_path_field("a@b.test") + letter) == letter
        assert without_return_path(letter) == letter
