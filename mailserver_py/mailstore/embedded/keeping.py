"""The engine's `port.Keeping`: what operators and house-keeping do to one account."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from ..keeping import Expunged, Restored, Standing
from ..values import INBOX, Appended, Changed, NewMessage
from . import account_changes, kept, removals
from .account import EmbeddedAccount, known_name, share_out
from .account_changes import Incoming

if TYPE_CHECKING:
    from .store import EmbeddedStore


class EmbeddedKeeping:
    """One account, seen by those who keep house."""

    def __init__(self, store: EmbeddedStore, name: str) -> None:
        self.store = store
        self.name = name
        self.account = EmbeddedAccount(store, name)

    async def standing(self) -> Standing:
        return await self.account.read(kept.standing)

    async def list_expunged(self) -> Sequence[Expunged]:
        return await self.account.read(kept.list_expunged)

    async def expunged_letters(
        self, expunged_ids: Sequence[int]
    ) -> AsyncIterator[Sequence[tuple[int, bytes | None]]]:
        rows = await self.account.read(lambda db: kept.expunged_letters(db, expunged_ids))
        for share in share_out(rows):
            yield await self.store.in_thread(self.account.read_share, share)

    async def undelete(self, expunged_ids: Sequence[int], target: str = "") -> Sequence[Restored]:
        wanted = known_name(target) if target else ""
        now_s = int(self.store.clock())

        def run(db: sqlite3.Connection) -> list[Restored]:
            changed, restored = kept.take_back(db, expunged_ids, wanted, now_s)
            job.changed.extend(Changed(self.name, mailbox_id) for mailbox_id in sorted(changed))
            return restored

        job = self.account.job(run)
        answer: list[Restored] = await self.store.perform(job)
        return answer

    async def forget_expunged(self) -> int:
        gone_count = 0
        while count := await self.forget_some():
            gone_count += count
        return gone_count

    async def forget_some(self) -> int:
        """One transaction's share of `forget_expunged`."""
        now_s = int(self.store.clock())

        def run(db: sqlite3.Connection) -> int:
            count, hashes = removals.forget_old(db, now_s)
            job.released.extend(hashes)
            return count

        job = self.account.job(run)
        answer: int = await self.store.perform(job)
        return answer

    async def warn(self, letter: NewMessage, old_percent: int, new_percent: int) -> bool:
        def put(db: sqlite3.Connection, letters: Sequence[Incoming]) -> Appended:
            if not kept.mark_warned(db, old_percent, new_percent):
                return Appended(0, [])
            inbox_id = account_changes.mailbox_id_of(db, INBOX)
            job.changed.append(Changed(self.name, inbox_id))
            return account_changes.add_messages(db, inbox_id, letters)

        job = await self.account.incoming_job([letter], put)
        answer: Appended = await self.store.perform(job)
        return bool(answer.uids)

    async def reset_warning(self, old_percent: int, new_percent: int) -> None:
        await self.account.change(lambda db: kept.mark_warned(db, old_percent, new_percent))
