"""Away with releases beyond the last three, once the new one has answered on every listener."""

from __future__ import annotations

from collections.abc import Iterator

from ..filesystem import Absent, difference
from ..releases import superfluous
from ..seen import Seen
from ..wish import RELEASES, Wish
from .shape import Change, Step


def changes(wish: Wish, seen: Seen) -> Iterator[Change]:
    yield from difference([Absent(f"{RELEASES}/{name}") for name in superfluous(seen)], seen)


STEP = Step("old releases", changes)
