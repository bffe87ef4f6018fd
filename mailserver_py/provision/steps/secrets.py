"""The secrets, where systemd hands each service only its own (`LoadCredential=`).

They go from memory into files that root alone can read, by standard input, never by SFTP (which writes first and
restricts later). One that is no longer wanted is removed.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..filesystem import Absent, File, Wanted, difference
from ..seen import Seen
from ..wish import CREDENTIALS, Wish
from .shape import Change, Step


def changes(wish: Wish, seen: Seen) -> Iterator[Change]:
    wanted: list[Wanted] = [
        File(f"{CREDENTIALS}/{name}", content, 0o600) for name, content in wish.secrets.items()
    ]
    paths = {one.path for one in wanted}
    stale = [Absent(path) for path in seen.below(CREDENTIALS) if path not in paths]
    yield from difference([*wanted, *stale], seen)


STEP = Step("secrets", changes)
