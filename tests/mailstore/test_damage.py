"""A damaged index recovers or fails closed: reads answer or refuse with the store's own errors, and a letter that is
served has the octets it is named after (promises R24, R26)."""

from __future__ import annotations

import asyncio
import hashlib
import random
import shutil
from pathlib import Path

import pytest

from mailserver_py.errors import OperatorError
from mailserver_py.mailstore.values import FlagChange, StoreError

from .site import ALICE, Site, local
from .test_embedded import open_embedded

INDEX = "accounts/alice@lab.test/index.db"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store that holds a few letters, closed."""
    folder = tmp_path_factory.mktemp("sound")

    async def main() -> None:
        site = Site(folder, open_embedded)
        account = await site.account()
        await site.append(account, count=20)
        for _ in range(3):
            await site.accept(local())
        await site.store.close()

    asyncio.run(main())
    return folder


async def use_everything(folder: Path) -> int:
    """Calls whatever reads, and a few that write; how many refused. Only the store's errors may come."""
    refused_count = 0
    try:
        site = Site(folder, open_embedded)
    except OperatorError:
        return 1
    try:
        account = await site.account()
    except StoreError:
        await site.store.close()
        return 1
    queue, uids = site.store.queue, list(range(1, 30))
    for call in (
        account.list_mailboxes(),
        account.messages(1),
        account.changes(1, 0),
        account.digests(1, uids, ["subject", "envelope"]),
        account.usage(),
        account.store_flags(1, [1, 2], FlagChange.ADD, 1),
        queue.list_letters(),
        queue.lease("o", site.now_s + 10, 10, 10),
        queue.next_due_at_s(),
        site.store.check(),
    ):
        try:
            await call
        except StoreError:
            refused_count += 1
    try:
        async for chunk in account.letters(1, uids):
            for _, octets in chunk:
                assert octets is None or hashlib.sha256(octets).hexdigest() in hashes(folder)
    except StoreError:
        refused_count += 1
    await site.store.close()
    return refused_count


def hashes(folder: Path) -> set[str]:
    """The names of all letters."""
    return {path.parent.name + path.name for path in (folder / "store/blobs").glob("*/*")}


@pytest.mark.parametrize("place", ["site.db", INDEX])
def test_flipped_bytes_never_serve_a_wrong_letter(place: str, sound: Path, tmp_path: Path) -> None:
    chance = random.Random(place)
    octets = (sound / "store" / place).read_bytes()
    shutil.copytree(sound, tmp_path, dirs_exist_ok=True)
    for _ in range(8):
        damaged = bytearray(octets)
        for _ in range(3):
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        for path in (tmp_path / "store" / place).parent.glob("*.db-*"):
            path.unlink()
        (tmp_path / "store" / place).write_bytes(damaged)
        asyncio.run(use_everything(tmp_path))


@pytest.mark.parametrize("damage", ["header", "cut", "empty", "missing"])
@pytest.mark.parametrize("place", ["site.db", INDEX])
def test_a_ruined_database_is_named_by_the_check(
    place: str, damage: str, sound: Path, tmp_path: Path
) -> None:
    shutil.copytree(sound, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "store" / place
    octets = path.read_bytes()
    ruined = {"header": b"\0" * 100 + octets[100:], "cut": octets[: len(octets) // 2 + 7], "empty": b""}

    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(ruined[damage])

    async def main() -> list[str]:
        site = Site(tmp_path, open_embedded)
        try:
            return list(await site.store.check(repair=True))
        finally:
            await site.store.close()

    try:
        findings = asyncio.run(main())
    except OperatorError as error:
        findings = [f"{reason.file}: {reason.text}" for reason in error.reasons]
        assert place == "site.db"
        assert all(reason.cure for reason in error.reasons)
    assert findings
    assert hashes(tmp_path) == hashes(sound)


def test_without_its_log_and_shared_memory_a_closed_store_is_whole(sound: Path, tmp_path: Path) -> None:
    shutil.copytree(sound, tmp_path, dirs_exist_ok=True)
    for path in (tmp_path / "store").rglob("*.db-*"):
        path.unlink()

    async def main() -> None:
        site = Site(tmp_path, open_embedded)
        assert await site.store.check() == []
        assert (await site.inbox(await site.account(ALICE))).message_count == 20
        await site.store.close()

    asyncio.run(main())


def test_an_account_whose_making_was_cut_short_is_no_damage(tmp_path: Path) -> None:
    async def main() -> None:
        site = Site(tmp_path, open_embedded)
        folder = tmp_path / "store/accounts/alice@lab.test"
        folder.mkdir()
        assert await site.store.check() == []
        (folder / "index.db").touch()
        assert await site.store.check() == []
        await site.append(await site.account())
        assert await site.store.check() == []
        await site.store.close()

    asyncio.run(main())
