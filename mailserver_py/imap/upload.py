"""The letters of an APPEND on their way into the store, streamed while the command is read: RFC 9051 §6.3.12.

A letter that cannot be kept is still read to its end, so that the client can be told in its own command's reply.
"""

from __future__ import annotations

from ..mailstore.port import Staging
from ..mailstore.values import Staged, StoreError
from .replies import Reply, refusal_of


class Upload:
    """What one session has received and not appended yet."""

    def __init__(self) -> None:
        self.letters: list[Staged] = []
        """Whole letters, in order."""
        self.refusal: Reply | None = None
        """Why they cannot be kept, when that is so."""
        self._stagings: list[Staging] = []
        self._open = False
        self.catenating = False
        """A letter of several parts has begun (RFC 4469)."""
        self.parts_count = 0
        """Its parts that are written."""
        self.catenated_bytes = 0

    @property
    def in_letter(self) -> bool:
        """Octets of a letter are expected."""
        return self._open

    def begin(self, staging: Staging) -> None:
        """The next letter's octets will come."""
        self._stagings.append(staging)
        self._open = True

    def begin_catenation(self, staging: Staging) -> None:
        """The next letter comes in parts."""
        self._stagings.append(staging)
        self.catenating = True
        self.parts_count = self.catenated_bytes = 0

    def expect_text(self) -> None:
        """The next part's octets will come."""
        self._open = True

    async def add(self, data: bytes) -> None:
        """A part that was here already."""
        self.catenated_bytes += len(data)
        await self._stagings[-1].write(data)

    async def complete(self) -> None:
        """The letter of several parts is whole."""
        self.catenating = False
        self.letters.append(await self._stagings[-1].finish())

    async def take(self, chunk: bytes, *, last: bool) -> None:
        """Octets of the open letter."""
        self._open = not last
        if self.refusal is not None:
            return
        try:
            if chunk:
                await self._stagings[-1].write(chunk)
            if self.catenating:
                self.catenated_bytes += len(chunk)
                self.parts_count += last
            elif last:
                self.letters.append(await self._stagings[-1].finish())
        except StoreError as error:
            self.refusal = refusal_of(error)

    async def forget(self) -> None:
        """Throws away whatever was not appended; what was is not touched by that."""
        if not self._stagings:
            return
        stagings, self._stagings = self._stagings, []
        self.letters = []
        self.refusal = None
        self._open = self.catenating = False
        for staging in stagings:
            await staging.discard()
