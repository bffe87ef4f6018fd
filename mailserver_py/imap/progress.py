"""INPROGRESS: RFC 9585. A client that waits for a long command is told, every now and then, how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .session import Session

INTERVAL_S = 10
"""Between two messages, and before the first: clients give up after half a minute or more (RFC 9585 §4 leaves it to the
server, but not so often that it floods)."""


class Progress:
    """Tells of one command; to be called as often as one likes."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._told_at_s = session.door.now_s()

    async def __call__(self, done_count: int, all_count: int) -> None:
        """So many of so many messages are done."""
        now_s = self._session.door.now_s()
        if now_s - self._told_at_s < INTERVAL_S or not all_count:
            return
        self._told_at_s = now_s
        code = b'INPROGRESS ("%b" %d %d)' % (self._session.tag, done_count, all_count)
        await self._session.send(b"* OK [%b] Still at work\r\n" % code)
