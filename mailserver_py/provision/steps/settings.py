"""The host's slices of the spec, and the link to the release that reads it: one payload, so that all switch at once.

Running processes notice neither; `processes` restarts them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from ..filesystem import Directory, File, Link, Wanted, difference
from ..releases import chosen_release
from ..seen import Seen
from ..wish import CHAIN, CURRENT, RELEASES, SETTINGS, Wish
from .shape import Change, Step


def changes(wish: Wish, seen: Seen) -> Iterator[Change]:
    wanted: list[Wanted] = [
        File(f"{SETTINGS}/settings.json", wish.settings_file),
        File(f"{SETTINGS}/verification.json", wish.verification_file),
    ]
    for name, content in wish.trusted.items():
        path = PurePosixPath(SETTINGS, name)
        wanted += [
            Directory(str(folder)) for folder in path.parents if PurePosixPath(SETTINGS) in folder.parents
        ]
        wanted.append(File(str(path), content))
    if wish.certificate_chain:
        wanted.append(File(CHAIN, wish.certificate_chain))
    wanted.append(Link("/usr/local/bin/mailserver", f"{CURRENT}/bin/mailserver"))
    wanted.append(Link(CURRENT, f"{RELEASES}/{chosen_release(wish, seen)}"))
    yield from difference(wanted, seen)


STEP = Step("settings", changes)
