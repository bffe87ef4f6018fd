"""Room for letters: in an account, on the disk, and in memory. Asked before a letter is taken, so that its
sender knows.

The store's own answer decides in the end; these are early ones, so they may be some seconds old as long as
there is room to spare.
"""

from __future__ import annotations

from mailserver_py.mailstore.port import Store
from mailserver_py.smtp.replies import Reply
from mailserver_py.spec.settings import HostSettings

from . import replies

REMEMBER_S = 5
"""How old an answer "there is plenty" may be."""

PLENTY_LETTERS = 50
"""Plenty is room for this many letters of the largest size: more than come within REMEMBER_S."""

PLENTY_MESSAGES_COUNT = 5000
"""The same in messages: what the fastest senders bring within REMEMBER_S."""

DISK_FACTOR = 1.5
"""Free space asked for, in largest letters: a letter, and the index and log that grow with it. Postfix's
rule.
"""

REMEMBER_COUNT = 10_000
"""Accounts remembered."""

IN_HAND_LETTERS = 8
"""Memory for letters that are coming in, in largest letters: a worker must not be killed by clients that send
them all at once. Ten thousand letters of usual size are less.
"""


class Space:
    """One process's view of the room there is."""

    def __init__(self, settings: HostSettings) -> None:
        self._letter_bytes = int(settings.limits.message_size)
        self._quotas = {name: account.quota_bytes for name, account in settings.accounts.items()}
        self._plenty_until_s: dict[str, int] = {}
        self._disk_plenty_until_s = 0
        self._in_hand_bytes = 0

    def hold(self, size_bytes: int) -> bool:
        """Takes memory for more of a letter; False, and nothing taken, when there is none left for now."""
        if self._in_hand_bytes + size_bytes > IN_HAND_LETTERS * self._letter_bytes:
            return False
        self._in_hand_bytes += size_bytes
        return True

    def release(self, size_bytes: int) -> None:
        """Gives memory back that `hold` took."""
        self._in_hand_bytes -= size_bytes

    async def refuse_letter(self, store: Store, size_bytes: int, now_s: int) -> Reply | None:
        """The refusal of any letter while the disk is nearly full, or None."""
        if now_s < self._disk_plenty_until_s:
            return None
        free_bytes = await store.free_bytes()
        if free_bytes < DISK_FACTOR * max(self._letter_bytes, size_bytes):
            return replies.SYSTEM_FULL
        if free_bytes > PLENTY_LETTERS * self._letter_bytes:
            self._disk_plenty_until_s = now_s + REMEMBER_S
        return None

    async def refuse_recipient(self, store: Store, account: str, size_bytes: int, now_s: int) -> Reply | None:
        """The refusal of a local recipient whose account is full, or None. `size_bytes`: as announced, or
        0.
        """
        if now_s < self._plenty_until_s.get(account, 0):
            return None
        usage = await (await store.account(account, self._quotas.get(account, 0))).usage()
        left_bytes = usage.quota_bytes + usage.grace_bytes - usage.size_bytes
        if usage.quota_bytes and left_bytes < max(1, size_bytes):
            return replies.MAILBOX_FULL
        left_count = usage.message_limit_count - usage.message_count
        if usage.message_limit_count and left_count < 1:
            return replies.MAILBOX_FULL
        has_room = not usage.quota_bytes or left_bytes > PLENTY_LETTERS * self._letter_bytes
        if has_room and (not usage.message_limit_count or left_count > PLENTY_MESSAGES_COUNT):
            if len(self._plenty_until_s) >= REMEMBER_COUNT:
                self._plenty_until_s.clear()
            self._plenty_until_s[account] = now_s + REMEMBER_S
        return None
