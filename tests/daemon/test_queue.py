"""The queue at work: a real store, servers that misbehave by script, a clock that is moved."""

from __future__ import annotations

import asyncio
import email
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from mailserver_py.daemon.context import FrozenClock
from mailserver_py.daemon.outbound import World as Outside
from mailserver_py.daemon.queue import DESTINATION_AT_ONCE_COUNT, Budget, QueueRunner
from mailserver_py.mailstore.values import NewLetter, NewRecipient
from tests.net.certificates import write_certificate

from .peers import Peer, outside
from .smtp_world import ALICE, BOB, World, running

LETTER = (
    b"Return-Path: <alice@lab.test>\r\nReceived: by x;\r\n now\r\nFrom: alice@lab.test\r\n"
    b"Subject: hello\r\n\r\n.dot\r\nbody\r\n"
)
MX = {("peer.example", "MX"): ("10 mx.peer.example.",), ("mx.peer.example", "A"): ("198.51.100.1",)}
TWO_MX = {
    ("peer.example", "MX"): ("10 mx.peer.example.", "20 second.peer.example."),
    ("mx.peer.example", "A"): ("198.51.100.1",),
    ("second.peer.example", "A"): ("198.51.100.2",),
}
PETER = "peter@peer.example"


class Office:
    """A host's queue, and what tests do with it."""

    def __init__(self, world: World, outside_world: Outside) -> None:
        self.world = world
        self.context = world.context
        self.runner = QueueRunner(world.context, outside_world)
        clock = world.context.clock
        assert isinstance(clock, FrozenClock)
        self.clock = clock

    async def accept(
        self, *recipients: NewRecipient | str, reverse_path: str = ALICE, data: bytes = LETTER
    ) -> None:
        staging = self.world.store.stage()
        await staging.write(data)
        await self.world.store.queue.accept(
            NewLetter(
                trace_id="thetrace",
                reverse_path=reverse_path,
                staged=await staging.finish(),
                recipients=[NewRecipient(r) if isinstance(r, str) else r for r in recipients],
                received_at_s=self.clock.now_s(),
                account=reverse_path,
            )
        )

    async def work(self) -> None:
        """All that is due, to the end."""
        while await self.runner._take_due() == 0:
            await self.runner.drain(20)

    async def waiting(self) -> list[tuple[str, int, int]]:
        """(forward-path, attempts, seconds until the next) of what is left in the queue."""
        return [
            (r.forward_path, r.attempt_count, r.next_attempt_at_s - self.clock.now_s())
            for letter in await self.world.store.queue.list_letters()
            for r in letter.recipients
            if r.state.value == "waiting"
        ]

    def fates(self) -> list[tuple[str, str]]:
        return [
            (str(line["event"]), str(line.get("recipient", "")))
            for line in self.world.lines
            if str(line["event"]).startswith("delivery.")
        ]


Story = Callable[[Office], Awaitable[None]]
Play = Callable[..., None]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    def run(
        story: Story,
        peers: Mapping[str, Peer] | None = None,
        records: Mapping[tuple[str, str], tuple[str, ...]] = MX,
    ) -> None:
        async def main() -> None:
            async with running(tmp_path) as world, asyncio.timeout(20), AsyncExitStack() as stack:
                for peer in (peers or {}).values():
                    await stack.enter_async_context(peer.listening())
                await story(Office(world, outside(records, peers or {})))

        asyncio.run(main())

    return run


def test_a_letter_goes_out_without_its_return_path(play: Play) -> None:
    peer = Peer()

    async def story(office: Office) -> None:
        await office.accept(PETER)
        await office.work()
        assert peer.letters == [(ALICE, (PETER,), LETTER.partition(b"\r\n")[2])]
        assert await office.waiting() == []
        assert office.fates() == [("delivery.sent", PETER)]

    play(story, {"198.51.100.1": peer})


def test_tls_is_used_when_offered_whoever_vouches(play: Play, tmp_path: Path) -> None:
    write_certificate(tmp_path / "tls", "somebody.example")
    peer = Peer(tls_folder=tmp_path / "tls")

    async def story(office: Office) -> None:
        await office.accept(PETER)
        await office.work()
        assert (len(peer.letters), peer.tls_count) == (1, 1)
        assert office.world.events("delivery.sent")[0]["tls"] is True

    play(story, {"198.51.100.1": peer})


def test_a_broken_handshake_is_followed_by_the_clear(play: Play, tmp_path: Path) -> None:
    peer = Peer({"EHLO": "250-mx.peer.example\r\n250 STARTTLS", "STARTTLS": "220 go"})
    # There is no certificate: the handshake fails.

    async def story(office: Office) -> None:
        await office.accept(PETER)
        await office.work()
        assert (len(peer.letters), peer.connections_count) == (1, 2)

    play(story, {"198.51.100.1": peer})


def test_recipients_of_one_domain_share_a_transaction_and_keep_their_own_fates(play: Play) -> None:
    replies = {"a": "250 2.1.5 ok", "b": "550 5.1.1 unknown", "c": "451 4.7.1 later"}
    peer = Peer({"RCPT": lambda line: replies[line.partition("<")[2][0]]})

    async def story(office: Office) -> None:
        await office.accept(*(f"{name}@peer.example" for name in "abc"))
        await office.work()
        assert [letter[1] for letter in peer.letters] == [("a@peer.example",)]
        assert await office.waiting() == [("c@peer.example", 1, 300)]
        (bounce,) = await office.world.letters(ALICE)
        assert b"b@peer.example" in bounce
        assert b"c@peer.example" not in bounce
        assert b"DKIM-Signature" in bounce
        assert email.message_from_bytes(bounce).get_content_type() == "multipart/report"

    play(story, {"198.51.100.1": peer})


@pytest.mark.parametrize(
    "script",
    [
        {"GREETING": "421 4.3.2 busy"},
        {"GREETING": "554 5.7.1 go away"},
        {"GREETING": "CLOSE"},
        {"EHLO": "CLOSE"},
    ],
    ids=["4xx", "5xx", "closes", "closes at EHLO"],
)
def test_the_second_exchange_takes_what_the_first_does_not(play: Play, script: dict[str, str]) -> None:
    first, second = Peer(script), Peer()

    async def story(office: Office) -> None:
        await office.accept(PETER)
        await office.work()
        assert len(second.letters) == 1

    play(story, {"198.51.100.1": first, "198.51.100.2": second}, TWO_MX)


def test_the_second_exchange_is_not_asked_about_a_refused_recipient(play: Play) -> None:
    first, second = Peer({"RCPT": "550 5.1.1 unknown"}), Peer()

    async def story(office: Office) -> None:
        await office.accept(PETER)
        await office.work()
        assert (second.connections_count, office.fates()[0]) == (0, ("delivery.failed", PETER))

    play(story, {"198.51.100.1": first, "198.51.100.2": second}, TWO_MX)


@pytest.mark.parametrize(
    ("script", "fate"),
    [
        ({"END": "CLOSE"}, "delivery.deferred"),
        ({"END": "452 4.3.1 full"}, "delivery.deferred"),
        ({"DATA": "CLOSE"}, "delivery.deferred"),
        ({"MAIL": "451 4.7.1 later"}, "delivery.deferred"),
        ({"RCPT": "garbage"}, "delivery.deferred"),
        ({"RCPT": "250-" + "x" * 100_000}, "delivery.deferred"),
        ({"GREETING": "220 \0\xff\r\n999"}, "delivery.deferred"),
        ({"END": "554 5.6.0 bad"}, "delivery.failed"),
        ({"MAIL": "550 5.7.1 never"}, "delivery.failed"),
        ({"DATA": "554 5.7.1 never"}, "delivery.failed"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_a_peer_says_decides(play: Play, script: dict[str, str], fate: str) -> None:
    async def story(office: Office) -> None:
        await office.accept(PETER)
        await office.work()
        assert office.fates()[0] == (fate, PETER)

    play(story, {"198.51.100.1": Peer(script)})


@pytest.mark.parametrize(
    ("records", "status"),
    [
        ({}, "5.1.2"),
        ({("peer.example", "MX"): ("0 .",)}, "5.1.10"),
        ({("peer.example", "MX"): ("10 mx1.lab.test.",), ("mx1.lab.test", "A"): ("203.0.113.1",)}, "5.4.6"),
    ],
    ids=["nxdomain", "null mx", "ourselves"],
)
def test_where_there_is_no_way_the_letter_comes_back_at_once(
    play: Play, records: dict[tuple[str, str], tuple[str, ...]], status: str
) -> None:
    async def story(office: Office) -> None:
        await office.accept(PETER)
        await office.work()
        assert office.world.events("delivery.failed")[0]["status"] == status
        assert len(await office.world.letters(ALICE)) == 1

    play(story, {}, records)


def test_a_server_that_greets_with_our_name_is_a_loop(play: Play) -> None:
    peer = Peer({"GREETING": "220 mx1.lab.test ESMTP"})

    async def story(office: Office) -> None:
        await office.accept(PETER)
        await office.work()
        assert office.world.events("delivery.failed")[0]["status"] == "5.4.6"
        assert not any(line.startswith("MAIL") for line in peer.lines)

    play(story, {"198.51.100.1": peer})


def test_a_dead_peer_is_retried_by_schedule_and_given_up_with_one_bounce(play: Play) -> None:
    async def story(office: Office) -> None:
        received_at_s = office.clock.now_s()
        await office.accept(PETER)
        waits: list[int] = []
        for _ in range(100):
            await office.work()
            left = await office.waiting()
            if not left:
                break
            ((_, count, wait_s),) = left
            assert count == len(waits) + 1
            waits.append(wait_s)
            office.clock.at_s += wait_s
        assert waits[:5] == [300, 900, 3_600, 14_400, 14_400]
        assert office.clock.now_s() - received_at_s == office.context.settings.queue.give_up
        bounces = await office.world.letters(ALICE)
        assert len(bounces) == 1
        assert b"Status: 4.4.1" in bounces[0]
        assert await office.world.store.queue.list_letters() == []

    play(story)


def test_nothing_is_returned_to_the_null_reverse_path(play: Play) -> None:
    async def story(office: Office) -> None:
        await office.accept(PETER, reverse_path="")
        await office.work()
        assert office.fates() == [("delivery.failed", PETER), ("delivery.unreturned", "")]
        assert await office.world.store.queue.list_letters() == []

    play(story, {}, {})


def test_a_bounce_to_the_outside_goes_out_from_the_null_reverse_path(play: Play) -> None:
    peer = Peer({"RCPT": lambda line: "550 5.1.1 no" if "peter" in line else "250 ok"})

    async def story(office: Office) -> None:
        await office.accept(PETER, reverse_path="sender@peer.example")
        await office.work()
        ((sender, recipients, letter),) = peer.letters
        assert (sender, recipients) == ("", ("sender@peer.example",))
        assert b"postmaster@lab.test" in letter

    play(story, {"198.51.100.1": peer})


def test_a_local_recipient_that_a_crash_left_behind_gets_the_letter_once(play: Play) -> None:
    async def story(office: Office) -> None:
        await office.accept(NewRecipient(BOB, account=BOB))
        await office.work()
        await office.work()
        assert await office.world.letters(BOB) == [LETTER]
        assert office.fates() == [("delivery.local", BOB)]

    play(story)


def test_a_dead_destination_is_tried_a_few_times_not_for_every_letter(play: Play) -> None:
    alive, dead = Peer(), Peer({"GREETING": "CLOSE"})
    records = {**MX, ("dead.example", "A"): ("198.51.100.9",)}

    async def story(office: Office) -> None:
        for number in range(30):
            await office.accept(f"x{number}@dead.example")
        await office.accept(PETER)
        await office.work()
        assert len(alive.letters) == 1
        assert len(await office.waiting()) == 30
        assert dead.connections_count <= DESTINATION_AT_ONCE_COUNT

    play(story, {"198.51.100.1": alive, "198.51.100.9": dead}, records)


def test_an_interrupted_attempt_is_due_again_at_once(play: Play) -> None:
    async def story(office: Office) -> None:
        await office.accept(PETER)
        await office.runner._take_due()
        await asyncio.sleep(0.2)
        await office.runner.drain(0.1)
        assert await office.waiting() == [(PETER, 1, 0)]

    play(story, {"198.51.100.1": Peer({"GREETING": "SILENCE"})})


def test_the_first_of_all_gets_its_memory_however_large() -> None:
    async def case() -> None:
        budget = Budget(10)
        order: list[str] = []

        async def hold(name: str, size_bytes: int) -> None:
            async with budget.hold(size_bytes):
                order.append(name)
                await asyncio.sleep(0.01)
                order.append(name)

        await asyncio.gather(hold("huge", 100), hold("a", 5), hold("b", 5), hold("c", 5))
        assert order[:2] == ["huge", "huge"]
        assert order.index("c") > 3

    asyncio.run(case())
