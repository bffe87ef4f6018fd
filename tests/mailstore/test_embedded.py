"""The embedded engine keeps the contract, and the rules that are its own."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mailserver_py.errors import OperatorError
from mailserver_py.mailstore.embedded import EmbeddedStore
from mailserver_py.mailstore.embedded.index import FOLDER_LIMIT_BYTES, folder_name
from mailserver_py.mailstore.port import Store
from mailserver_py.mailstore.values import NO_RULES, SAVED_AT, NewMessage

from .contract import StoreContract
from .site import ALICE, BOB, NOW_S, Site, digest, local, outside, rule


def open_embedded(site: Site) -> EmbeddedStore:
    """A store in the site's folder."""
    return EmbeddedStore.open(
        site.folder / "store",
        announce=site.announced.append,
        digest=digest,
        clock=lambda: site.now_s,
        rules=lambda name: site.rules.get(name, NO_RULES),
    )


class TestEmbeddedStore(StoreContract):
    """The whole contract."""

    def open_store(self, site: Site) -> Store:
        return open_embedded(site)


class TestEngine:
    """What only this engine promises."""

    def open_store(self, site: Site) -> Store:
        return open_embedded(site)

    @rule
    async def test_two_processes_share_a_store(self, site: Site) -> None:
        other = Site(site.folder, open_embedded)
        try:
            accounts = [await place.account() for place in (site, other) for _ in range(2)]
            places = (site, other)
            appends = (places[n % 2].append(accounts[n % 2 * 2]) for n in range(40))
            accepts = (place.accept(local(ALICE), local(BOB)) for place in places for _ in range(10))
            _, letters = await asyncio.gather(asyncio.gather(*appends), asyncio.gather(*accepts))
            for letter in letters:
                await other.deliver(letter)
                await site.deliver(letter)
            assert (await site.inbox(accounts[0])).message_count == 60
            assert await site.inbox(accounts[0]) == await site.inbox(accounts[2])
            assert await site.store.check() == []
        finally:
            await other.store.close()

    @rule
    async def test_a_digest_lost_is_derived_again(self, site: Site) -> None:
        account = await site.account()
        await site.append(account, count=2)
        inbox = await site.inbox(account)
        before = await account.digests(inbox.mailbox_id, [1, 2], ["subject", "envelope"])
        execute(site, "accounts/alice@lab.test/index.db", "DELETE FROM digests")
        assert list(await account.digests(inbox.mailbox_id, [1, 2], ["subject", "envelope"])) == list(before)
        assert len(await site.store.check(repair=True)) == 1
        assert await site.store.check() == []
        assert list(await account.digests(inbox.mailbox_id, [1, 2], ["subject", "envelope"])) == list(before)

    @rule
    async def test_a_reader_of_letters_that_fails_does_not_stop_mail(self, site: Site) -> None:
        def broken(_: bytes) -> None:
            raise RecursionError

        site.store.digest = broken  # type: ignore[attr-defined]
        (outcome,) = await site.deliver(await site.accept(local()))
        assert outcome.state.value == "delivered"
        account = await site.account()
        inbox = await site.inbox(account)
        assert list(await account.digests(inbox.mailbox_id, [1], ["subject"])) == [(1, "")]

    @pytest.mark.parametrize("damage", ["missing", "cut", "changed"])
    def test_a_damaged_file_hurts_one_message_and_is_named(self, damage: str, tmp_path: Path) -> None:
        async def main() -> None:
            site = Site(tmp_path, open_embedded)
            account = await site.account()
            await site.append(account, count=3)
            inbox = await site.inbox(account)
            sha256 = (await account.messages(inbox.mailbox_id))[1].sha256
            path = tmp_path / "store" / "blobs" / sha256[:2] / sha256[2:]
            octets = path.read_bytes()
            if damage == "missing":
                path.unlink()
            else:
                path.write_bytes(octets[:-1] if damage == "cut" else b"X" + octets[1:])
            rows = [row async for chunk in account.letters(inbox.mailbox_id, [1, 2, 3]) for row in chunk]
            assert [octets is None for _, octets in rows] == [False, True, False]
            (finding,) = await site.store.check(repair=True)
            assert sha256 in finding
            await site.append(account)
            await account.append("INBOX", [await new_message(site, octets)])
            assert await site.store.check() == []
            await site.store.close()

        asyncio.run(main())

    @rule
    async def test_wrong_counters_are_found_and_set_right(self, site: Site) -> None:
        account = await site.account()
        await site.append(account, count=3)
        before = await site.inbox(account)
        for statement in (
            "UPDATE mailboxes SET message_count = 7, unseen_count = 0, uid_next = 2",
            "UPDATE letters SET message_count = 9",
            "UPDATE account SET size_bytes = 1",
        ):
            execute(site, "accounts/alice@lab.test/index.db", statement)
        assert len(await site.store.check(repair=True)) >= 6
        assert await site.store.check() == []
        assert await site.inbox(account) == before

    @rule
    async def test_a_damaged_account_is_named_and_the_others_go_on(self, site: Site) -> None:
        await site.append(await site.account(ALICE))
        await site.append(await site.account(BOB))
        await site.reopen()
        path = site.folder / "store/accounts/alice@lab.test/index.db"
        path.write_bytes(b"no database" + path.read_bytes()[11:])
        findings = await site.store.check(repair=True)
        assert findings
        assert all("alice@lab.test" in finding for finding in findings)
        (outcome,) = await site.deliver(await site.accept(local(BOB)))
        assert outcome.state.value == "delivered"
        (outcome,) = await site.deliver(await site.accept(local(ALICE)))
        assert outcome.state.value == "waiting"

    @rule
    async def test_files_of_nobody_go_when_they_are_old(self, site: Site) -> None:
        store = site.store
        assert isinstance(store, EmbeddedStore)
        store.files.publish([await site.staged("nobody's")])
        assert await store.check() == []
        site.now_s += 10**9
        assert len(await store.check()) == 1
        await store.check(repair=True)
        assert await store.check() == []
        assert list(store.files.list_letters()) == []

    @rule
    async def test_what_a_dead_process_left_is_swept(self, site: Site) -> None:
        dead = site.folder / "store/waiting/0123456789abcdef"
        dead.mkdir()
        (dead / "lock").touch()
        (dead / "1").write_bytes(b"half a letter")
        staging = site.store.stage()
        await staging.write(b"x" * 1_000_000)
        await site.store.maintain()
        assert not dead.exists()
        assert (await staging.finish()).size_bytes == 1_000_000

    @rule
    async def test_a_letter_released_and_used_again_at_once_is_not_lost(self, site: Site) -> None:
        account = await site.account()
        inbox = await site.inbox(account)
        for _ in range(20):
            (uid,) = (await account.append("INBOX", [await new_message(site, b"again")])).uids
            _, released, _ = await asyncio.gather(
                account.remove(inbox.mailbox_id, [uid]),
                site.store.maintain(),
                account.append("Sent", [await new_message(site, b"again")]),
            )
            assert released in (0, 1)
        assert await site.store.check() == []

    @rule
    async def test_a_file_aside_is_still_read(self, site: Site) -> None:
        store = site.store
        assert isinstance(store, EmbeddedStore)
        letter = await site.accept(outside(), text="aside")
        Path(store.files.place(letter.sha256)).rename(store.files.released / letter.sha256)
        assert await store.queue.read(letter) == b"aside"
        assert await store.maintain() == 0
        assert Path(store.files.place(letter.sha256)).exists()

    @rule
    async def test_open_accounts_are_bounded(self, site: Site) -> None:
        store = site.store
        assert isinstance(store, EmbeddedStore)
        store.shelf.open_count = 5
        names = [f"user{n}@lab.test" for n in range(12)]
        await asyncio.gather(*(deliver_one(site, name) for name in names))
        for name in names:
            assert (await site.inbox(await site.account(name))).message_count == 1
        assert len(store.shelf.open) <= 5

    @pytest.mark.parametrize("place", ["site.db", "accounts/alice@lab.test/index.db"])
    def test_a_schema_from_the_future_is_refused(self, place: str, tmp_path: Path) -> None:
        async def main() -> None:
            site = Site(tmp_path, open_embedded)
            await site.append(await site.account())
            await site.store.close()
            execute(site, place, "PRAGMA user_version = 99")
            if place == "site.db":
                with pytest.raises(OperatorError, match="version 99"):
                    open_embedded(site)
                return
            site.store = open_embedded(site)
            (outcome,) = await site.deliver(await site.accept(local()))
            assert outcome.state.value == "waiting"
            assert any("version 99" in finding for finding in await site.store.check())
            await site.store.close()

        asyncio.run(main())

    def test_an_account_of_the_first_version_is_led_to_the_present_one(self, tmp_path: Path) -> None:
        place = "accounts/alice@lab.test/index.db"

        async def main() -> None:
            site = Site(tmp_path, open_embedded)
            await site.append(await site.account(), count=2)
            await site.store.close()
            make_first_version(site.folder / "store" / place)
            site.store = open_embedded(site)
            account = await site.account()
            inbox = await site.inbox(account)
            await site.append(account)
            dates = [row[1] for row in await account.digests(inbox.mailbox_id, [1, 2, 3], (SAVED_AT,))]
            assert dates == [NOW_S, NOW_S, NOW_S]
            await site.deliver(await site.accept(local()))
            assert [m.uid for m in await account.messages(inbox.mailbox_id)] == [1, 2, 3, 4]
            assert all("have no digest" in finding for finding in await site.store.check())
            await site.store.check(repair=True)
            assert await site.store.check() == []
            await site.store.close()

        asyncio.run(main())

    def test_a_folder_that_cannot_be_used_is_the_operators_matter(self, tmp_path: Path) -> None:
        (tmp_path / "store").write_text("a file")
        with pytest.raises(OperatorError):
            EmbeddedStore.open(tmp_path / "store")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "../x", "A", "ä", "a\0b", "x" * 5000, "%41", "~", "\ud800"]
)
def test_an_accounts_folder_is_safe_and_its_own(name: str) -> None:
    folder = folder_name(name)
    assert folder not in (".", "..", "")
    assert not set(folder) & set("/\0")
    assert len(folder.encode()) <= FOLDER_LIMIT_BYTES
    assert folder != folder_name(name + "x")
    assert folder_name("alice@lab.test") == "alice@lab.test"


async def deliver_one(site: Site, name: str) -> None:
    """One letter for one account."""
    await site.deliver(await site.accept(local(name)))


async def new_message(site: Site, octets: bytes) -> NewMessage:
    """A message of these octets."""

    return NewMessage(await site.staged(octets), site.now_s)


def make_first_version(path: Path) -> None:
    """Puts an account's database back to how the first version would have written it."""
    old = path.with_name("old.db")
    with closing(sqlite3.connect(old, isolation_level=None)) as db:
        db.executescript((Path(__file__).parent / "first_version.sql").read_text())
        db.execute("ATTACH ? AS now", (str(path),))
        for (table,) in db.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall():
            if not table.startswith("sqlite_"):
                columns = ", ".join(row[1] for row in db.execute(f"PRAGMA main.table_info({table})"))
                db.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM now.{table}")
        db.execute("PRAGMA main.user_version = 1")
    for log in ("-wal", "-shm"):
        path.with_name(path.name + log).unlink(missing_ok=True)
    old.replace(path)


def execute(site: Site, place: str, statement: str) -> None:
    """Does something to a database behind the store's back."""
    connection = sqlite3.connect(site.folder / "store" / place, isolation_level=None)
    connection.execute(statement)
    connection.close()
