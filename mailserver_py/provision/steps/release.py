"""The release in a folder of its own, beside the last ones. Nothing uses it before `settings` points to it.

The way back: `--data release=previous` (or an id) takes a release that is on the host already. Deploying the older
checkout does the same and brings its settings along; its release is still there, so nothing is sent.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..onhost import program
from ..releases import INCOMING, chosen_release, is_complete, platform_of
from ..seen import Seen
from ..wish import Wish
from .shape import Change, Step, Upload


def changes(wish: Wish, seen: Seen) -> Iterator[Change]:
    name = chosen_release(wish, seen)
    if not is_complete(name, seen):
        platform = platform_of(seen)
        yield Change(
            what=(f"release {name}: not on the host",),
            script=program("install.sh", name),
            upload=Upload(lambda: wish.release.archive(platform), f"{INCOMING}/release.tar"),
        )


STEP = Step("release", changes)
