"""The hub: who in this process waits for changes of which account, and how they hear of them.

What a commit of this process announces and what the bus brings from other processes comes in by `publish`; an
IDLE session listens. A listener keeps one bit and a bounded set, never a queue: a change says "look again",
and looking once answers any number of changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from mailserver_py.mailstore.values import Changed

KEPT_COUNT = 64
"""Different mailboxes a listener remembers between two looks; beyond it hears 0, which means all."""


class Listener:
    """One session's ear. `close` it, or use it as a context manager."""

    def __init__(self, hub: Hub, account: str) -> None:
        self._hub = hub
        self.account = account
        self._mailboxes: set[int] = set()
        self._rang = asyncio.Event()

    async def wait(self, timeout_s: float | None = None) -> bool:
        """True as soon as something changed since the last `drain`, False after the time."""
        if self._rang.is_set():
            return True
        try:
            async with asyncio.timeout(timeout_s):
                await self._rang.wait()
        except TimeoutError:
            return False
        return True

    def drain(self) -> Iterable[int]:
        """Mailbox ids that changed since last time (0: the list of mailboxes, or unknown), and forgets
        them.
        """
        changed, self._mailboxes = self._mailboxes, set()
        self._rang.clear()
        return changed

    def close(self) -> None:
        """Stops listening; harmless when called twice."""
        self._hub._forget(self)

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ring(self, mailbox_id: int) -> None:
        if len(self._mailboxes) >= KEPT_COUNT:
            self._mailboxes = {0}
        self._mailboxes.add(mailbox_id)
        self._rang.set()


class Hub:
    """All listeners of this process."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[Listener]] = {}

    def listen(self, account: str) -> Listener:
        """An ear for one account; the empty name is the queue."""
        listener = Listener(self, account)
        self._listeners.setdefault(account, set()).add(listener)
        return listener

    def publish(self, changed: Changed) -> None:
        """Tells every listener of the account; in the loop's thread."""
        for listener in self._listeners.get(changed.account, ()):
            listener._ring(changed.mailbox_id)

    def _forget(self, listener: Listener) -> None:
        listeners = self._listeners.get(listener.account)
        if listeners is not None:
            listeners.discard(listener)
            if not listeners:
                del self._listeners[listener.account]
