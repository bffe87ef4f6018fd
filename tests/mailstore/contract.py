"""The store's contract: the rules every engine must keep. Subclass it, name `Test…`, say how a store is opened."""

from __future__ import annotations

from abc import ABC, abstractmethod

from mailserver_py.mailstore.port import Store

from .contract_keeping import KeepingRules
from .contract_mailboxes import MailboxRules
from .contract_messages import MessageRules
from .contract_queue import QueueRules
from .site import Site, rule


class StoreContract(MailboxRules, MessageRules, QueueRules, KeepingRules, ABC):
    """All rules. `open_store` opens the store in `site.folder`, with its announcements, digest and clock."""

    @abstractmethod
    def open_store(self, site: Site) -> Store:
        """The engine under test."""

    @rule
    async def test_free_space_is_told(self, site: Site) -> None:
        assert await site.store.free_bytes() > 0

    @rule
    async def test_a_store_that_was_used_is_found_whole(self, site: Site) -> None:
        account = await site.account()
        await site.append(account, count=3)
        assert await site.store.check() == []
        assert await site.store.check(repair=True) == []
        assert site.store.suspect == ""

    @rule
    async def test_a_letter_given_up_leaves_nothing(self, site: Site) -> None:
        for size_bytes in (10, 1_000_000):
            staging = site.store.stage()
            await staging.write(b"x" * size_bytes)
            await staging.discard()
            await staging.discard()
        assert await site.store.check() == []
