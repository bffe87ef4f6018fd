"""The hub."""

from __future__ import annotations

import asyncio

from mailserver_py.daemon.hub import KEPT_COUNT, Hub
from mailserver_py.mailstore.values import Changed


def test_a_listener_hears_of_its_own_account_only() -> None:
    async def case() -> None:
        hub = Hub()
        with hub.listen("alice") as alice, hub.listen("bob") as bob:
            hub.publish(Changed("alice", 3))
            assert await alice.wait(1)
            assert not await bob.wait(0.01)
            assert alice.drain() == {3}
            assert not await alice.wait(0.01)

    asyncio.run(case())


def test_a_listener_that_waits_is_woken() -> None:
    async def case() -> None:
        hub = Hub()
        with hub.listen("alice") as alice:
            waiting = asyncio.create_task(alice.wait(5))
            await asyncio.sleep(0)
            hub.publish(Changed("alice", 3))
            async with asyncio.timeout(1):
                assert await waiting

    asyncio.run(case())


def test_many_changes_become_look_at_everything() -> None:
    hub = Hub()
    with hub.listen("alice") as alice:
        for number in range(1, KEPT_COUNT + 10):
            hub.publish(Changed("alice", number))
        assert 0 in set(alice.drain())


def test_a_closed_listener_is_forgotten() -> None:
    hub = Hub()
    alice = hub.listen("alice")
    alice.close()
    alice.close()
    assert not hub._listeners
