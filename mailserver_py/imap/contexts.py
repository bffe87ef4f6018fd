"""Updates of search results: RFC 5267 §4.3. A client that asked for them learns of every message that comes to match,
or ceases to.

Contexts belong to the selected mailbox. The session lets them follow right before and right behind what it tells:
REMOVEFROM of expunged messages goes before their EXPUNGE, the rest behind EXISTS and FETCH.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .order import Order, sort
from .program import Node, search
from .results import serialize_esearch
from .selected import Selected
from .sequence import serialize_numbers

CONTEXTS_MAX_COUNT = 16
"""In one session; each costs a search among what changed."""


@dataclass(slots=True)
class Context:
    """One search whose result is followed."""

    tag: bytes
    uid: bool
    node: Node
    orders: tuple[Order, ...]
    uids: list[int]
    """The result as the client knows it, in the requested order."""

    def _pairs(self, box: Selected, changes: Sequence[tuple[int, int]]) -> bytes:
        """`position set` pairs; neighbours that follow each other go together."""
        groups: list[tuple[int, list[int]]] = []
        for place, uid in changes:
            number = uid if self.uid else box.index(uid) + 1
            if groups and self._joins(groups[-1], place):
                groups[-1][1].append(number)
            else:
                groups.append((place, [number]))
        return b" ".join(b"%d %b" % (place, serialize_numbers(numbers)) for place, numbers in groups)

    @staticmethod
    def _joins(group: tuple[int, list[int]], place: int) -> bool:
        return place == 0 or place == group[0] + len(group[1])

    def remove(self, box: Selected, gone: Iterable[int]) -> bytes:
        """The response for messages that do not match any more; in a SORT each by its place."""
        missing = set(gone).intersection(self.uids)
        if not missing:
            return b""
        changes: list[tuple[int, int]] = []
        if self.orders:
            # From the end, so that no place moves before it is said.
            for place in range(len(self.uids), 0, -1):
                if self.uids[place - 1] in missing:
                    changes.append((place, self.uids[place - 1]))
        else:
            changes = [(0, uid) for uid in sorted(missing)]
        self.uids = [uid for uid in self.uids if uid not in missing]
        pairs = b" ".join(self._pairs(box, [change]) for change in changes) if self.orders else b""
        data = b" REMOVEFROM (%b)" % (pairs or self._pairs(box, changes))
        return serialize_esearch(self.tag, data, uid=self.uid)

    async def add(self, box: Selected, fresh: Sequence[int]) -> bytes:
        """The response for messages that came to match."""
        if not fresh:
            return b""
        if self.orders:
            positions = sorted(at for at in map(box.index, [*self.uids, *fresh]) if at >= 0)
            self.uids = [box.uids[at] for at in await sort(box, positions, self.orders)]
            wanted = set(fresh)
            changes = [(place, uid) for place, uid in enumerate(self.uids, 1) if uid in wanted]
        else:
            self.uids = sorted([*self.uids, *fresh])
            changes = [(0, uid) for uid in sorted(fresh)]
        if not changes:
            return b""
        return serialize_esearch(self.tag, b" ADDTO (%b)" % self._pairs(box, changes), uid=self.uid)


class Contexts:
    """Those of one selected mailbox."""

    def __init__(self) -> None:
        self._by_tag: dict[bytes, Context] = {}

    def __contains__(self, tag: bytes) -> bool:
        return tag in self._by_tag

    def __bool__(self) -> bool:
        return bool(self._by_tag)

    def begin(self, context: Context) -> bool:
        """Follows a result from now on; False when there are too many."""
        if len(self._by_tag) >= CONTEXTS_MAX_COUNT:
            return False
        self._by_tag[context.tag] = context
        return True

    def cancel(self, tag: bytes) -> bool:
        """Follows it no more; False when it was not."""
        return self._by_tag.pop(tag, None) is not None

    def before_expunges(self, box: Selected) -> bytes:
        """REMOVEFROM for what is about to be told as expunged."""
        return b"".join(context.remove(box, box.gone_uids) for context in self._by_tag.values())

    async def behind(self, box: Selected) -> bytes:
        """ADDTO and REMOVEFROM for what changed otherwise."""
        touched = sorted(at for at in map(box.index, box.take_touched()) if at >= 0)
        if not touched or not self._by_tag:
            return b""
        lines: list[bytes] = []
        for context in self._by_tag.values():
            matching = {box.uids[at] for at in await search(box, context.node, touched)}
            known = set(context.uids)
            # A message that is gone stays, until it is told as expunged.
            ceased = {box.uids[at] for at in touched if not box.is_gone(at)} - matching
            lines.append(context.remove(box, ceased))
            lines.append(await context.add(box, sorted(matching - known)))
        return b"".join(lines)
