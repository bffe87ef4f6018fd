"""What the contract's rules need around a store: letters, deliveries, announcements, and a way to open it again."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from mailserver_py.mailstore.port import Account, Store
from mailserver_py.mailstore.values import (
    AccountRules,
    Appended,
    Changed,
    Digest,
    Mailbox,
    NewLetter,
    NewMessage,
    NewRecipient,
    Outcome,
    QueuedLetter,
    Staged,
)

NOW_S = 1_600_000_000
"""The clock of the tests stands here unless a test moves it."""

ALICE = "alice@lab.test"
BOB = "bob@lab.test"


def digest(letter: bytes) -> Digest:
    """A digest from which a test can tell its letter."""
    return Digest(
        b"E" + letter[:8], b"BS", b"B", b"P", len(letter), 7, "subject of " + letter[:8].decode(), "<id>"
    )


class Site:
    """A store under test."""

    def __init__(self, folder: Path, make: Callable[[Site], Store]) -> None:
        self.folder = folder
        self.make = make
        self.now_s = NOW_S
        self.announced: list[Changed] = []
        self.count = 0
        self.rules: dict[str, AccountRules] = {}
        """The site's wish for accounts; for the others, their quota is the argument of `account`."""
        self.store = make(self)

    async def reopen(self) -> None:
        """Closes the store and opens it again."""
        await self.store.close()
        self.store = self.make(self)

    async def account(self, name: str = ALICE, quota_bytes: int = 0) -> Account:
        """An account."""
        if quota_bytes:
            self.rules[name] = AccountRules(quota_bytes)
        return await self.store.account(name)

    async def staged(self, text: bytes | str = b"") -> Staged:
        """A complete letter; without a text, one like no other."""
        self.count += 1
        octets = text.encode() if isinstance(text, str) else text
        staging = self.store.stage()
        await staging.write(octets or b"letter %d\r\n" % self.count)
        return await staging.finish()

    async def append(
        self, account: Account, mailbox: str = "INBOX", count: int = 1, flags: int = 0
    ) -> Appended:
        """Appends so many new letters."""
        messages = [NewMessage(await self.staged(), NOW_S, flags) for _ in range(count)]
        return await account.append(mailbox, messages)

    async def inbox(self, account: Account) -> Mailbox:
        """The account's inbox, as it is now."""
        return await account.mailbox("INBOX")

    async def accept(
        self, *recipients: NewRecipient, text: str = "", owner: str = "", lease_s: int = 0
    ) -> QueuedLetter:
        """Accepts a letter."""
        return await self.store.queue.accept(await self.letter(*recipients, text=text), owner, lease_s)

    async def letter(self, *recipients: NewRecipient, text: str = "", account: str = "") -> NewLetter:
        """A letter from the world, or from an account."""
        trace_id = f"trace{self.count}"
        return NewLetter(
            trace_id, "sender@peer.test", await self.staged(text), recipients, self.now_s, account
        )

    async def deliver(self, letter: QueuedLetter) -> Sequence[Outcome]:
        """Delivers to the local recipients."""
        return await self.store.queue.deliver_local(letter, self.now_s)


def local(account: str = ALICE, mailbox: str = "INBOX") -> NewRecipient:
    """A recipient here."""
    return NewRecipient(account, account, mailbox)


def outside(address: str = "carol@peer.test") -> NewRecipient:
    """A recipient elsewhere."""
    return NewRecipient(address)


def rule(test: Callable[[Any, Site], Awaitable[None]]) -> Callable[[Any, Path], None]:
    """Runs a contract's test on a fresh store in a loop of its own."""

    @functools.wraps(test)
    def run(self: Any, tmp_path: Path) -> None:
        async def main() -> None:
            site = Site(tmp_path, self.open_store)
            try:
                await test(self, site)
            finally:
                await site.store.close()

        asyncio.run(main())

    del run.__wrapped__  # pytest would read the test's own parameters
    return run
