"""The POP3 connection over the pretend network, with a real client over loopback at the end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import multiprocessing
import poplib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from mailserver_py.daemon import pop3_session
from mailserver_py.daemon.context import DaemonContext, FrozenClock
from mailserver_py.daemon.hub import Hub
from mailserver_py.daemon.log import Log
from mailserver_py.daemon.maildrop_locks import MaildropLocks
from mailserver_py.daemon.pop3_session import serve_pop3
from mailserver_py.mailstore.port import Store
from mailserver_py.mailstore.values import Flag, NewMessage, StoreUnavailable
from mailserver_py.net.connection import Connection, Waits
from mailserver_py.net.pretend import PretendConnection, pretend_pair
from mailserver_py.net.resolver import Resolver
from mailserver_py.net.server import Door, Gate, Server, listen
from mailserver_py.net.tls import TlsContexts
from mailserver_py.spec.model import Limits, Listeners, QueueRules, Retention
from mailserver_py.spec.settings import AccountSettings, HostSettings
from tests.imap.memory_store import MemoryAccount, MemoryStore
from tests.net.certificates import write_certificate

from .known import KnownPasswords

ALICE = "alice@example.test"
LETTERS = [b"Subject: one\r\n\r\n.dot\r\n", b"Subject: two\r\n\r\n" + b"x" * 70 + b"\r\n", b"no header"]


class World:
    """One server process and connections to it."""

    def __init__(self, locks: MaildropLocks | None = None) -> None:
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
            accounts={ALICE: AccountSettings(quota_bytes=0)},
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
            passwords=KnownPasswords(ALICE),
            clock=clock,
            log=Log(clock.now, lambda line: self.lines.append(json.loads(line))),
            hub=hub,
            resolver=cast(Resolver, None),
            ids=lambda: f"id{next(ids)}",
            policy=cast(Any, None),
            maildrop_locks=locks or MaildropLocks(),
        )
        self.tasks: list[asyncio.Task[None]] = []

    @property
    def account(self) -> MemoryAccount:
        return self.store.accounts[ALICE]

    async def fill(self) -> None:
        account = await self.store.account(ALICE)
        for letter in LETTERS:
            staging = self.store.stage()
            await staging.write(letter)
            await account.append("INBOX", [NewMessage(await staging.finish(), 1_800_000_000)])

    async def letters(self) -> list[tuple[bytes | None, int]]:
        account = await self.store.account(ALICE)
        box = await account.mailbox("INBOX")
        messages = await account.messages(box.mailbox_id)
        found = [
            letter
            async for chunk in account.letters(box.mailbox_id, [message.uid for message in messages])
            for _, letter in chunk
        ]
        return list(zip(found, [message.flags for message in messages], strict=True))

    async def connect(self, *, tls: bool = True) -> PretendConnection:
        server, client = pretend_pair(tls=tls)

        async def serve() -> None:
            try:
                await serve_pop3(server, self.context, failure_delay_s=0)
            except ConnectionError:
                pass
            finally:
                await server.close()

        self.tasks.append(asyncio.create_task(serve()))
        assert await client.read_until(b"\r\n") == b"+OK mx.example.test POP3\r\n"
        return client

    async def say(self, client: PretendConnection, line: bytes) -> bytes:
        await client.write(line + b"\r\n")
        return await client.read_until(b"\r\n")

    async def log_in(self) -> PretendConnection:
        client = await self.connect()
        await self.say(client, b"USER " + ALICE.encode())
        assert await self.say(client, b"PASS secret") == b"+OK 3 messages\r\n"
        return client

    async def ended(self) -> None:
        await asyncio.wait_for(asyncio.gather(*self.tasks), 5)


def in_world(scene: Callable[[World], Awaitable[None]], locks: MaildropLocks | None = None) -> World:
    world = World(locks)

    async def run() -> None:
        await world.fill()
        await scene(world)
        for task in world.tasks:
            task.cancel()
        await asyncio.gather(*world.tasks, return_exceptions=True)

    asyncio.run(run())
    return world


def test_letters_are_read_and_deleted_at_quit() -> None:
    async def scene(world: World) -> None:
        client = await world.log_in()
        await client.write(b"RETR 1\r\n")
        assert await client.read_until(b"\r\n.\r\n") == (
            b"+OK The letter follows\r\nSubject: one\r\n\r\n..dot\r\n.\r\n"
        )
        await world.say(client, b"DELE 2")
        assert len(await world.letters()) == 3
        assert await world.say(client, b"QUIT") == b"+OK Goodbye\r\n"
        await world.ended()
        assert await world.letters() == [(LETTERS[0], Flag.SEEN), (LETTERS[2], 0)]

    world = in_world(scene)
    assert {"event": "login.ok", "protocol": "pop3", "account": ALICE}.items() <= world.lines[0].items()


def test_a_lost_connection_deletes_nothing_and_frees_the_maildrop() -> None:
    async def scene(world: World) -> None:
        client = await world.log_in()
        await world.say(client, b"DELE 1")
        await client.close()
        await world.ended()
        assert len(await world.letters()) == 3
        await world.log_in()

    in_world(scene)


def test_a_maildrop_has_one_session_at_a_time() -> None:
    async def scene(world: World) -> None:
        first = await world.log_in()
        second = await world.connect()
        await world.say(second, b"USER " + ALICE.encode())
        assert (await world.say(second, b"PASS secret")).startswith(b"-ERR [IN-USE] ")
        await world.say(first, b"QUIT")
        await world.say(second, b"USER " + ALICE.encode())
        assert await world.say(second, b"PASS secret") == b"+OK 3 messages\r\n"

    in_world(scene)


def hold_in_another_process(folder: str, ready: Any, done: Any) -> None:
    with MaildropLocks(Path(folder)).hold(ALICE) as held:
        assert held
        ready.set()
        done.wait(20)


def test_a_maildrop_is_held_across_processes_and_freed_when_one_is_killed(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    ready, done = spawn.Event(), spawn.Event()
    other = spawn.Process(target=hold_in_another_process, args=(str(tmp_path), ready, done))
    other.start()
    try:
        assert ready.wait(20)
        locks = MaildropLocks(tmp_path)
        with locks.hold(ALICE) as held:
            assert not held
        with locks.hold("bob@example.test") as held:
            assert held
        other.kill()
        other.join(10)
        with locks.hold(ALICE) as held, locks.hold(ALICE) as again:
            assert (held, again) == (True, False)
    finally:
        other.kill()
        other.join(10)


def test_wrong_passwords_and_other_identities_are_refused_and_logged() -> None:
    async def scene(world: World) -> None:
        client = await world.connect()
        await world.say(client, b"USER " + ALICE.encode())
        assert (await world.say(client, b"PASS wrong")).startswith(b"-ERR [AUTH] ")
        await world.say(client, b"USER nobody@example.test")
        assert (await world.say(client, b"PASS secret")).startswith(b"-ERR [AUTH] ")
        # bob NUL alice@example.test NUL secret
        assert (await world.say(client, b"AUTH PLAIN Ym9iAGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=")).startswith(
            b"-ERR [AUTH]"
        )

    world = in_world(scene)
    assert [line["event"] for line in world.lines] == ["login.refused"] * 3
    assert "secret" not in json.dumps(world.lines)
    assert "wrong" not in json.dumps(world.lines)


def test_a_refused_login_comes_late(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def sleep(delay_s: float) -> None:
        waited.append(delay_s)

    monkeypatch.setattr(asyncio, "sleep", sleep)

    async def run() -> None:
        world = World()
        server, client = pretend_pair(tls=True)
        task = asyncio.create_task(serve_pop3(server, world.context))
        await client.write(b"USER x\r\nPASS y\r\nQUIT\r\n")
        await task

    asyncio.run(run())
    assert waited == [pop3_session.FAILURE_DELAY_S]


def test_stls_makes_the_connection_tls() -> None:
    async def scene(world: World) -> None:
        client = await world.connect(tls=False)
        assert (await world.say(client, b"STLS")).startswith(b"+OK")
        await world.say(client, b"USER " + ALICE.encode())
        assert client.tls is not None
        assert await world.say(client, b"PASS secret") == b"+OK 3 messages\r\n"

    in_world(scene)


def test_octets_behind_stls_end_the_connection() -> None:
    async def scene(world: World) -> None:
        client = await world.connect(tls=False)
        await client.write(b"STLS\r\nUSER mallory\r\n")
        assert (await client.read_until(b"never")).startswith(b"-ERR Nothing may follow STLS")
        assert client.tls is None
        await world.ended()

    in_world(scene)


def test_messages_that_went_or_are_damaged_are_errors_and_the_session_goes_on() -> None:
    async def scene(world: World) -> None:
        client = await world.log_in()
        box = await world.account.mailbox("INBOX")
        await world.account.remove(box.mailbox_id, [1])
        world.account.boxes["INBOX"].rows[2].letter = None
        assert (await world.say(client, b"RETR 1")).startswith(b"-ERR [SYS/TEMP] ")
        assert (await world.say(client, b"RETR 2")).startswith(b"-ERR [SYS/PERM] ")
        await client.write(b"RETR 3\r\n")
        assert (await client.read_until(b"\r\n.\r\n")).endswith(b"no header\r\n.\r\n")

    in_world(scene)


def failing(error: Exception) -> Callable[..., Any]:
    async def fail(*_: object) -> None:
        raise error

    return fail


def test_a_store_that_fails_is_a_temporary_error_and_removes_nothing() -> None:
    async def scene(world: World) -> None:
        client = await world.log_in()
        await world.say(client, b"DELE 1")
        cast(Any, world.account).remove = failing(StoreUnavailable("disk full"))
        assert (
            await world.say(client, b"QUIT") == b"-ERR [SYS/TEMP] Some deleted messages were not removed\r\n"
        )
        await world.ended()

    in_world(scene)


def test_a_failed_opening_frees_the_maildrop() -> None:
    async def scene(world: World) -> None:
        client = await world.connect()
        opening = world.account.messages
        cast(Any, world.account).messages = failing(StoreUnavailable("locked"))
        await world.say(client, b"USER " + ALICE.encode())
        assert (await world.say(client, b"PASS secret")).startswith(b"-ERR [SYS/TEMP] ")
        cast(Any, world.account).messages = opening
        await world.log_in()

    in_world(scene)


def test_a_mistake_of_ours_is_an_incident_and_tells_nothing() -> None:
    async def scene(world: World) -> None:
        client = await world.log_in()
        cast(Any, world.account).letters = None
        assert (
            await world.say(client, b"RETR 1")
            == b"-ERR [SYS/PERM] The server made a mistake (incident id0)\r\n"
        )
        await world.ended()

    world = in_world(scene)
    line = world.lines[-1]
    assert {"event": "session.error", "incident": "id0", "protocol": "pop3"}.items() <= line.items()
    assert str(line["error"]).startswith("TypeError: ")


@pytest.mark.parametrize(("said", "limit"), [(b"", "AUTOLOGOUT_S"), (b"NO", "COMMAND_S")])
def test_silence_ends_the_session(said: bytes, limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pop3_session, limit, 0.01)

    async def scene(world: World) -> None:
        client = await world.log_in()
        await client.write(b"DELE 1\r\n" + said)
        assert (await client.read_until(b"never")).endswith(b"-ERR Too long without a command, goodbye\r\n")
        await world.ended()
        assert len(await world.letters()) == 3

    in_world(scene)


def test_octets_that_trickle_do_not_prolong_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pop3_session, "LOGIN_S", 0.05)

    async def scene(world: World) -> None:
        client = await world.connect()
        for _ in range(200):
            try:
                await client.write(b"CAPA\r\n")
            except ConnectionError:
                break
            await asyncio.sleep(0.005)
        assert (await client.read_until(b"never")).endswith(b"-ERR Too long without a command, goodbye\r\n")
        await world.ended()

    in_world(scene)


def test_a_restart_ends_waiting_sessions_without_an_update() -> None:
    async def scene(world: World) -> None:
        client = await world.log_in()
        await world.say(client, b"DELE 1")
        world.context.drain.start()
        assert await client.read_until(b"never") == b""
        await world.ended()
        assert len(await world.letters()) == 3

    in_world(scene)


@contextlib.asynccontextmanager
async def serving(world: World, folder: Path, *, implicit_tls: bool) -> AsyncIterator[int]:
    """The session behind a real socket; its port."""
    write_certificate(folder, "mx.example.test")
    sock = listen("127.0.0.1", 0)

    async def handler(connection: Connection) -> None:
        await serve_pop3(connection, world.context, failure_delay_s=0)

    tls = TlsContexts(folder, ((b"pop3",),))
    tls.reload()
    door = Door(handler, Gate(10, 10), tls, (b"pop3",), implicit_tls, b"", Waits(), lambda *_: None)
    server = Server(sock, door)
    try:
        yield sock.getsockname()[1]
    finally:
        server.stop_listening()
        await server.drain(2)


def read_all_and_delete_one(port: int, cafile: Path, *, implicit_tls: bool) -> list[bytes]:
    trust = ssl.create_default_context(cafile=str(cafile))
    trust.check_hostname = False
    client: poplib.POP3
    if implicit_tls:
        client = poplib.POP3_SSL("127.0.0.1", port, timeout=10, context=trust)
    else:
        client = poplib.POP3("127.0.0.1", port, timeout=10)
        assert "STLS" in client.capa()
        client.stls(trust)
    client.user(ALICE)
    client.pass_("secret")
    assert client.stat()[0] == len(LETTERS)
    assert len(client.uidl()[1]) == len(client.list()[1]) == len(LETTERS)
    letters = [b"".join(line + b"\r\n" for line in client.retr(n + 1)[1]) for n in range(len(LETTERS))]
    assert client.top(2, 0)[1] == [b"Subject: two", b""]
    client.dele(1)
    client.quit()
    return letters


@pytest.mark.parametrize("implicit_tls", [True, False], ids=["995", "110"])
def test_the_standard_librarys_client_reads_and_deletes(tmp_path: Path, implicit_tls: bool) -> None:
    async def scene(world: World) -> None:
        async with serving(world, tmp_path, implicit_tls=implicit_tls) as port:
            letters = await asyncio.to_thread(
                read_all_and_delete_one, port, tmp_path / "fullchain.pem", implicit_tls=implicit_tls
            )
        assert letters == [letter if letter.endswith(b"\r\n") else letter + b"\r\n" for letter in LETTERS]
        assert [letter for letter, _ in await world.letters()] == LETTERS[1:]

    in_world(scene)
