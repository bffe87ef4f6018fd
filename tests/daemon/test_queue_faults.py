"""What goes wrong while the queue works: nothing is lost by it, nothing is done twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from mailserver_py.daemon.context import LEASE_S
from mailserver_py.daemon.queue import QueueRunner
from mailserver_py.mailstore.embedded.staging import FileStaging
from mailserver_py.mailstore.embedded.store import EmbeddedStore, Recent
from mailserver_py.mailstore.values import NewRecipient, StoreUnavailable
from mailserver_py.net.resolver import Answer

from .peers import Peer, outside
from .smtp_world import ALICE, BOB
from .test_queue import MX, PETER, Office, Play, play

__all__ = ["play"]

ADDRESS = "198.51.100.1"


class FullStore(EmbeddedStore):
    """A store that has no room for new letters; the rest of it works."""

    def __init__(self, store: EmbeddedStore) -> None:
        self.__dict__.update(store.__dict__)

    def stage(self) -> FileStaging:
        raise StoreUnavailable("the disk is full")


def test_a_lease_that_was_lost_makes_no_bounce(play: Play) -> None:
    async def story(office: Office) -> None:
        await office.accept(PETER)
        queue, now_s = office.world.store.queue, office.clock.now_s()
        (letter,) = await queue.lease(office.context.owner, now_s, LEASE_S, 1)
        assert await queue.lease("another", now_s + LEASE_S, LEASE_S, 1)
        office.runner._begin(letter)
        await office.runner.drain(20)
        assert await office.world.letters(ALICE) == []
        assert len(await queue.list_letters()) == 1
        assert office.world.events("queue.lease_lost")

    play(story, {ADDRESS: Peer({"RCPT": "550 5.1.1 unknown"})})


def test_what_was_sent_stays_sent_when_its_sisters_bounce_cannot_be_kept(play: Play) -> None:
    peer = Peer({"RCPT": lambda line: "550 5.1.1 no" if "<b@" in line else "250 ok"})

    async def story(office: Office) -> None:
        await office.accept("a@peer.example", "b@peer.example")
        full = replace(office.context, store=FullStore(office.world.store))
        office.runner = QueueRunner(full, outside(MX, {ADDRESS: peer}))
        await office.work()
        assert [path for path, _, _ in await office.waiting()] == ["b@peer.example"]
        office.runner = QueueRunner(office.context, outside(MX, {ADDRESS: peer}))
        office.clock.at_s += LEASE_S
        await office.work()
        assert len(peer.letters) == 1
        assert len(await office.world.letters(ALICE)) == 1

    play(story, {ADDRESS: peer})


def test_a_clock_that_jumps_sends_nothing_twice(play: Play) -> None:
    peer = Peer({"GREETING": "SILENCE"})

    async def story(office: Office) -> None:
        await office.accept(PETER)
        await office.runner._take_due()
        while not peer.connections_count:
            await asyncio.sleep(0.01)
        office.clock.at_s += 3_600
        await office.runner._take_due()
        await asyncio.sleep(0.1)
        assert peer.connections_count == 1
        await office.runner.drain(0)

    play(story, {ADDRESS: peer})


def test_a_fault_of_ours_with_one_destination_leaves_the_others_alone(play: Play) -> None:
    peer = Peer({"GREETING": lambda _: "220 mx.peer.example"})

    async def story(office: Office) -> None:
        world = outside(MX, {ADDRESS: peer})

        class Faulty:
            async def lookup(self, name: str, rdtype: str) -> Answer:
                if name == "faulty.example":
                    raise RuntimeError("a bug")
                await asyncio.sleep(0.05)  # the fault comes first
                return await world.resolver.lookup(name, rdtype)

        office.runner = QueueRunner(office.context, replace(world, resolver=Faulty()))
        await office.accept(PETER, "x@faulty.example")
        await office.work()
        assert await office.waiting() == [("x@faulty.example", 1, 300)]
        assert office.world.events("queue.lease_lost") == []
        office.clock.at_s += office.context.settings.queue.give_up
        await office.work()
        assert len(peer.letters) == 1
        assert len(await office.world.letters(ALICE)) == 1

    play(story, {ADDRESS: peer})


def test_a_letter_damaged_before_its_local_delivery_is_returned(play: Play) -> None:
    async def story(office: Office) -> None:
        await office.accept(NewRecipient(BOB, account=BOB))
        store = office.world.store
        store.recent = Recent()
        ((letter),) = await store.queue.list_letters()
        with open(store.files.place(letter.sha256), "r+b") as file:
            file.write(b"X")
        await office.work()
        assert await office.world.letters(BOB) == []
        (bounce,) = await office.world.letters(ALICE)
        assert b"Status: 5.3.0" in bounce
        assert await store.queue.list_letters() == []

    play(story)


def test_a_destination_that_stalls_keeps_no_other_waiting(play: Play) -> None:
    slow, quick = Peer({"MAIL": "SILENCE"}), Peer()
    records = {**MX, ("slow.example", "A"): ("198.51.100.9",)}

    async def story(office: Office) -> None:
        await asyncio.gather(*(office.accept(f"x{number}@slow.example") for number in range(250)))
        await office.accept(PETER)
        running = asyncio.create_task(office.runner.run())
        async with asyncio.timeout(10):
            while not quick.letters:
                await asyncio.sleep(0.01)
        office.context.drain.start()
        await office.runner.drain(0)
        running.cancel()

    play(story, {ADDRESS: quick, "198.51.100.9": slow}, records)
