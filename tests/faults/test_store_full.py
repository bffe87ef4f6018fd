"""A full disk never loses and never accepts; people can still read and expunge, and so make room (promise R07)."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from mailserver_py.mailstore.embedded import EmbeddedStore
from mailserver_py.mailstore.embedded.files import RESERVE_BYTES
from mailserver_py.mailstore.values import (
    Flag,
    FlagChange,
    NewLetter,
    NewMessage,
    NewRecipient,
    StoreFull,
)

from .campaign import with_own_mounts
from .disks import mounted, small_tmpfs
from .store_writers import NOW_S, octets, stage

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(300),
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts disks: needs root"),
]

ALICE = "alice@lab.test"


async def send(store: EmbeddedStore, number: int, size_bytes: int = 100_000) -> bool:
    """Whether a letter was accepted; it is then delivered."""
    try:
        staged = await stage(store, octets(f"full-{number}", size_bytes))
        letter = NewLetter(f"t{number}", "a@b", staged, [NewRecipient(ALICE, ALICE)], NOW_S)
        queued = await store.queue.accept(letter, "w", 60)
    except StoreFull:
        return False
    (outcome,) = await store.queue.deliver_local(queued, NOW_S)
    assert outcome.state.value == "delivered"
    return True


async def fill_and_make_room(root: Path) -> None:
    """The whole story of one full disk."""
    store = EmbeddedStore.open(root, clock=lambda: NOW_S)
    account = await store.account(ALICE)
    accepted_count = 0
    while await send(store, accepted_count):
        accepted_count += 1
    assert accepted_count > 50
    assert await store.free_bytes() < RESERVE_BYTES + 200_000
    assert not any([await send(store, 10_000 + number) for number in range(500)])
    with pytest.raises(StoreFull):
        await account.append("INBOX", [NewMessage(await stage(store, octets("x", 200_000)), NOW_S)])

    inbox = await account.mailbox("INBOX")
    messages = await account.messages(inbox.mailbox_id)
    assert len(messages) == accepted_count
    uids = [message.uid for message in messages]
    letters = [row async for chunk in account.letters(inbox.mailbox_id, uids) for row in chunk]
    assert all(letter is not None for _, letter in letters)
    assert await store.check() == []

    await account.store_flags(inbox.mailbox_id, uids, FlagChange.ADD, int(Flag.DELETED))
    assert len(await account.expunge(inbox.mailbox_id, uids[: len(uids) // 2])) == len(uids) // 2
    assert await store.maintain() == len(uids) // 2
    assert await send(store, 20_000)
    assert store.suspect == ""
    assert await store.check() == []
    await store.close()


@with_own_mounts
def test_a_full_ext4_refuses_new_letters_only_and_recovers_without_a_restart(tmp_path: Path) -> None:
    with mounted(tmp_path, "64M") as disk:
        asyncio.run(fill_and_make_room(disk.place / "store"))


@with_own_mounts
def test_a_full_tmpfs_refuses_new_letters_only_and_recovers_without_a_restart(tmp_path: Path) -> None:
    with small_tmpfs(tmp_path / "small", "64M") as place:
        asyncio.run(fill_and_make_room(place / "store"))


@with_own_mounts
def test_without_inodes_letters_are_refused_and_nothing_is_half(tmp_path: Path) -> None:
    async def story(root: Path) -> None:
        store = EmbeddedStore.open(root, clock=lambda: NOW_S)
        account = await store.account(ALICE)
        count = 0
        while await send(store, count, 500):
            count += 1
        assert not any([await send(store, 10_000 + number, 500) for number in range(50)])
        assert (await account.mailbox("INBOX")).message_count == count
        inbox = await account.mailbox("INBOX")
        assert len(await account.remove(inbox.mailbox_id, list(range(1, 20)))) == 19
        await store.maintain()
        assert await send(store, 20_000, 500)
        assert await store.check() == []
        await store.close()

    with mounted(tmp_path, "64M", "-N", "400") as disk:
        asyncio.run(story(disk.place / "store"))
