"""The IMAP connection over the pretend network: TLS, deadlines, IDLE, drain, and what must never happen."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from mailserver_py.daemon import imap_session
from mailserver_py.daemon.context import DaemonContext, FrozenClock
from mailserver_py.daemon.hub import Hub
from mailserver_py.daemon.imap_session import serve_imap
from mailserver_py.daemon.log import Log
from mailserver_py.mailstore.port import Store
from mailserver_py.mailstore.values import Changes, NewMessage
from mailserver_py.net.pretend import PretendConnection, pretend_pair
from mailserver_py.net.resolver import Resolver
from mailserver_py.spec.model import Limits, Listeners, QueueRules, Retention
from mailserver_py.spec.settings import AccountSettings, HostSettings
from tests.imap.letters import LETTERS
from tests.imap.memory_store import MemoryStore

from .known import KnownPasswords


class World:
    """One server process with connections to it."""

    def __init__(self) -> None:
        self.lines: list[dict[str, object]] = []
        clock = FrozenClock()
        hub = Hub()
        self.store = MemoryStore(hub.publish)
        ids = itertools.count()
        settings = HostSettings(
            hostname="mx.example.test",
            os_user="mailserver",
            workers=1,
            domains={},
            accounts={"alice@example.test": AccountSettings(quota_bytes=0)},
            addresses={},
            subaddress_separator="+",
            listeners=Listeners(),
            limits=Limits(),
            queue=QueueRules(),
            retention=Retention(),
            tls_source="self-signed",
        )
        self.context = DaemonContext(
            settings=settings,
            store=cast(Store, self.store),
            passwords=KnownPasswords("alice@example.test"),
            clock=clock,
            log=Log(clock.now, lambda line: self.lines.append(json.loads(line))),
            hub=hub,
            resolver=cast(Resolver, None),
            ids=lambda: f"id{next(ids)}",
            policy=cast(Any, None),
        )
        self.tasks: list[asyncio.Task[None]] = []

    async def connect(self, *, tls: bool = True) -> PretendConnection:
        server, client = pretend_pair(tls=tls)

        async def serve() -> None:
            try:
                await serve_imap(server, self.context, failure_delay_s=0)
            except ConnectionError:
                pass
            finally:
                await server.close()

        self.tasks.append(asyncio.create_task(serve()))
        assert (await client.read_until(b"Ready\r\n")).startswith(b"* OK [CAPABILITY ")
        return client

    async def log_in(self) -> PretendConnection:
        client = await self.connect()
        await client.write(b"l LOGIN alice@example.test secret\r\n")
        assert b"l OK" in await client.read_until(b"Logged in\r\n")
        return client

    async def deliver(self) -> None:
        account = await self.store.account("alice@example.test")
        staging = self.store.stage()
        await staging.write(LETTERS["tiny"])
        await account.append("INBOX", [NewMessage(await staging.finish(), 1_700_000_000)])

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def play(scene: Callable[[World], Awaitable[None]]) -> None:
    async def run() -> None:
        world = World()
        try:
            await scene(world)
        finally:
            await world.close()

    asyncio.run(run())


async def ended(client: PretendConnection) -> bytes:
    """Everything until the server closes."""
    return await client.read_until(b"\0never")


def test_login_is_refused_before_tls_and_possible_after_starttls() -> None:
    async def scene(world: World) -> None:
        client = await world.connect(tls=False)
        await client.write(b"a CAPABILITY\r\n")
        listed = await client.read_until(b"completed\r\n")
        assert b"STARTTLS" in listed and b"LOGINDISABLED" in listed and b"AUTH=" not in listed
        await client.write(b"b LOGIN alice@example.test secret\r\n")
        assert b"b NO [PRIVACYREQUIRED]" in await client.read_until(b"\r\n")
        await client.write(b"c STARTTLS\r\n")
        assert await client.read_until(b"\r\n") == b"c OK Begin TLS now\r\n"
        await client.write(b"d CAPABILITY\r\n")
        listed = await client.read_until(b"completed\r\n")
        assert b"AUTH=PLAIN" in listed and b"STARTTLS" not in listed and b"LOGINDISABLED" not in listed
        await client.write(b"e AUTHENTICATE PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\r\n")
        assert b"e OK" in await client.read_until(b"Logged in\r\n")

    play(scene)


@pytest.mark.parametrize("split", [False, True], ids=["one-segment", "two-segments"])
def test_bytes_in_the_clear_after_starttls_are_never_a_command(split: bool) -> None:
    async def scene(world: World) -> None:
        client = await world.connect(tls=False)
        if split:
            await client.write(b"a STARTTLS\r\n")
            await client.write(b"b LOGOUT\r\n")
        else:
            await client.write(b"a STARTTLS\r\nb LOGOUT\r\n")
        assert await ended(client) == b"a OK Begin TLS now\r\n"

    play(scene)


def test_idle_hears_of_new_mail_at_once() -> None:
    async def scene(world: World) -> None:
        client = await world.log_in()
        await client.write(b"a SELECT INBOX\r\n")
        await client.read_until(b"a OK [READ-WRITE] SELECT completed\r\n")
        await client.write(b"b IDLE\r\n")
        assert await client.read_until(b"\r\n") == b"+ Idling\r\n"
        for count in (1, 2, 3):
            await world.deliver()
            assert (await client.read_until(b"RECENT\r\n")).startswith(b"* %d EXISTS" % count)
        await client.write(b"DONE\r\n")
        assert await client.read_until(b"\r\n") == b"b OK IDLE completed\r\n"
        await client.write(b"c IDLE\r\nDONE\r\nd NOOP\r\n")
        seen = await client.read_until(b"d OK NOOP completed\r\n")
        assert seen == b"+ Idling\r\nc OK IDLE completed\r\nd OK NOOP completed\r\n"

    play(scene)


def test_idle_asks_the_store_only_about_its_own_mailbox(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(world: World) -> None:
        client = await world.log_in()
        await client.write(b"a SELECT Trash\r\nb IDLE\r\n")
        await client.read_until(b"+ Idling\r\n")
        account = await world.store.account("alice@example.test")
        asked: list[int] = []
        changes = account.changes

        async def counted(mailbox_id: int, since_modseq: int) -> Changes:
            asked.append(mailbox_id)
            return await changes(mailbox_id, since_modseq)

        monkeypatch.setattr(account, "changes", counted)
        await world.deliver()
        await asyncio.sleep(0.01)
        assert asked == []
        await account.copy(account.boxes["INBOX"].mailbox_id, [1], "Trash")
        assert (await client.read_until(b"RECENT\r\n")).startswith(b"* 1 EXISTS")

    play(scene)


def test_a_draining_server_says_bye_to_those_who_wait_and_those_who_idle() -> None:
    async def scene(world: World) -> None:
        waiting, idling, fresh = await world.log_in(), await world.log_in(), await world.connect()
        await idling.write(b"a IDLE\r\n")
        await idling.read_until(b"\r\n")
        world.context.drain.start()
        for client in (waiting, idling, fresh):
            assert (await ended(client)).startswith(b"* BYE [UNAVAILABLE]")

    play(scene)


def test_silence_before_login_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap_session, "LOGIN_S", 0.02)

    async def scene(world: World) -> None:
        client = await world.connect()
        assert (await ended(client)).startswith(b"* BYE")

    play(scene)


def test_a_trickled_command_is_not_prolonged_by_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap_session, "COMMAND_S", 0.05)

    async def scene(world: World) -> None:
        client = await world.log_in()

        async def trickle() -> None:
            while True:
                await client.write(b"a")
                await asyncio.sleep(0.01)

        task = asyncio.create_task(trickle())
        try:
            assert (await asyncio.wait_for(ended(client), 1)).startswith(b"* BYE")
        finally:
            task.cancel()

    play(scene)


def test_refused_logins_are_logged_without_the_password_and_end_the_connection() -> None:
    async def scene(world: World) -> None:
        client = await world.connect()
        for _ in range(5):
            await client.write(b"a LOGIN alice@example.test wr0ng\r\n")
        assert (await ended(client)).count(b"a NO [AUTHENTICATIONFAILED]") == 5
        refused = [line for line in world.lines if line["event"] == "login.refused"]
        assert len(refused) == 5 and refused[0]["address"] == "alice@example.test"
        assert "wr0ng" not in json.dumps(world.lines)

    play(scene)


def test_a_lost_connection_leaves_no_listener_and_no_half_letter() -> None:
    async def scene(world: World) -> None:
        client = await world.log_in()
        await client.write(b"a APPEND INBOX {1000+}\r\nhalf of it")
        await asyncio.sleep(0)
        await client.close()
        await asyncio.gather(*world.tasks)
        assert all(staging.discarded for staging in world.store.stagings)
        assert not world.context.hub._listeners

    play(scene)


def test_a_bug_of_ours_ends_one_command_and_leaves_its_traceback_in_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scene(world: World) -> None:
        client = await world.log_in()

        async def broken() -> None:
            raise ZeroDivisionError("secret detail")

        account = await world.store.account("alice@example.test")
        monkeypatch.setattr(account, "list_mailboxes", broken)
        await client.write(b'a LIST "" "*"\r\n')
        answer = await client.read_until(b"\r\n")
        assert answer.startswith(b"a NO [SERVERBUG]") and b"secret" not in answer
        errors = [line for line in world.lines if line["event"] == "session.error"]
        assert len(errors) == 1 and str(errors[0]["incident"]).encode() in answer
        await client.write(b"b NOOP\r\n")
        assert await client.read_until(b"\r\n") == b"b OK NOOP completed\r\n"

    play(scene)


def test_a_web_browser_is_sent_away() -> None:
    async def scene(world: World) -> None:
        client = await world.connect()
        await client.write(b"GET / HTTP/1.1\r\nHost: mx.example.test\r\n\r\n")
        answer = await ended(client)
        assert answer.startswith(b"* BYE") and b"Host" not in answer

    play(scene)
