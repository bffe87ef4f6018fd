"""Draining: sessions hear of it between commands."""

from __future__ import annotations

import asyncio

import pytest

from mailserver_py.daemon.context import Drain
from mailserver_py.net.pretend import pretend_pair


def test_a_session_that_waits_for_a_command_is_woken_by_the_drain() -> None:
    async def case() -> None:
        server, client = pretend_pair()
        drain = Drain()
        waiting = asyncio.create_task(drain.read(server, 60))
        await asyncio.sleep(0)
        drain.start()
        async with asyncio.timeout(1):
            assert await waiting is None
            assert await drain.read(server, 60) is None
        await client.write(b"still here")
        assert await server.read(1) == b"still here"

    asyncio.run(case())


def test_without_a_drain_it_reads_and_times_out_as_ever() -> None:
    async def case() -> None:
        server, client = pretend_pair()
        drain = Drain()
        await client.write(b"x")
        assert await drain.read(server, 1) == b"x"
        with pytest.raises(TimeoutError):
            await drain.read(server, 0.01)
        await client.close()
        assert await drain.read(server, 1) == b""
        assert not drain._waits

    asyncio.run(case())
