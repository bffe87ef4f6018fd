"""The nightly look: files of nobody, damage, logs; and an erasure that was cut short is named."""

from __future__ import annotations

import json
import os
import time

import pytest

from mailserver_py.mailstore.embedded import EmbeddedStore
from mailserver_py.mailstore.embedded.inspect import FOLDERS_LIMIT_COUNT
from mailserver_py.mailstore.keeping import Inspection
from mailserver_py.mailstore.port import Store
from mailserver_py.mailstore.values import AccountHeld, AccountRules, NewMessage

from .site import ALICE, NOW_S, Site, rule
from .test_embedded import open_embedded

ORPHAN = "ab" * 32


async def whole_round(store: Store) -> list[Inspection]:
    """Looks until all was seen."""
    found = [await store.inspect("", 1 << 40)]
    while found[-1].next_start:
        found.append(await store.inspect(found[-1].next_start, 1 << 40))
    return found


class TestInspection:
    """What only this engine has to look for."""

    def open_store(self, site: Site) -> Store:
        return open_embedded(site)

    @rule
    async def test_a_missing_and_a_damaged_letter_are_named(self, site: Site) -> None:
        account = await site.account()
        await site.append(account, count=3)
        hashes = [m.sha256 for m in await account.messages((await site.inbox(account)).mailbox_id)]
        missing, changed = (
            site.folder / "store" / "blobs" / sha256[:2] / sha256[2:] for sha256 in hashes[:2]
        )
        missing.unlink()
        changed.write_bytes(b"other")
        damaged = {
            line.split()[1].rstrip(":") for found in await whole_round(site.store) for line in found.damaged
        }
        assert damaged == set(hashes[:2])

    @rule
    async def test_old_files_of_nobody_go_and_young_ones_stay(self, site: Site) -> None:
        await site.append(await site.account(), count=2)
        orphan = site.folder / "store" / "blobs" / ORPHAN[:2] / ORPHAN[2:]
        orphan.write_bytes(b"nobody's")
        site.now_s = int(time.time()) + 60
        assert sum(found.orphan_count for found in await whole_round(site.store)) == 0
        site.now_s += 7200
        assert sum(found.orphan_count for found in await whole_round(site.store)) == 1
        assert not orphan.exists()
        assert await site.store.check() == []

    @rule
    async def test_nothing_goes_while_an_account_cannot_be_asked(self, site: Site) -> None:
        await site.append(await site.account())
        await site.reopen()
        orphan = site.folder / "store" / "blobs" / ORPHAN[:2] / ORPHAN[2:]
        orphan.write_bytes(b"nobody's")
        (site.folder / "store" / "accounts" / ALICE / "index.db").write_bytes(b"no database at all")
        site.now_s = int(time.time()) + 7200
        await whole_round(site.store)
        assert orphan.exists()

    @rule
    async def test_a_look_is_bounded_by_octets_and_by_folders(self, site: Site) -> None:
        await site.append(await site.account(), count=50)
        found = await whole_round(site.store)
        assert len(found) == 256 // FOLDERS_LIMIT_COUNT
        small = await site.store.inspect("", 1)
        assert 0 < small.file_count < 10

    @rule
    async def test_logs_are_carried_over(self, site: Site) -> None:
        account = await site.account()
        await site.append(account, count=200)
        log = site.folder / "store" / "accounts" / ALICE / "index.db-wal"
        assert log.stat().st_size > 64 * 1024
        assert (await site.store.inspect("", 1)).log_count == 1
        assert log.stat().st_size == 0
        await site.append(account)
        assert (await site.inbox(account)).message_count == 201

    @rule
    async def test_an_erasure_that_was_cut_short_is_named(self, site: Site) -> None:
        await site.account()
        erasing = site.folder / "store" / "erasing"
        erasing.mkdir()
        (erasing / f"{ALICE}.json").write_text(json.dumps({"name": ALICE}))
        (finding,) = await site.store.check()
        assert f"mailserver erase {ALICE} --yes" in finding
        await site.store.erase(ALICE)
        assert os.listdir(erasing) == []
        assert await site.store.check() == []

    @rule
    async def test_a_hold_outlives_the_accounts_line_in_the_spec(self, site: Site) -> None:
        site.rules[ALICE] = AccountRules(is_held=True)
        account = await site.account()
        await account.append("INBOX", [NewMessage(await site.staged(), NOW_S)])
        await site.store.close()
        without = EmbeddedStore.open(site.folder / "store", rules=lambda _: None)
        try:
            await without.account(ALICE)
            with pytest.raises(AccountHeld):
                await without.erase(ALICE)
        finally:
            await without.close()
            site.store = open_embedded(site)
