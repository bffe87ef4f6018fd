"""Which releases lie on a host, which of them is wanted, and which may go."""

from __future__ import annotations

from mailserver_py.errors import OperatorError, Reason

from .release import Platform
from .seen import Seen
from .wish import CURRENT, RELEASES, Wish

INCOMING = "/opt/mailserver/incoming"
KEPT_COUNT = 3
"""The one in use and two ways back; 60 MB each."""


def platform_of(seen: Seen) -> Platform:
    """What a release for this host has to be built for."""
    return Platform(seen.python, seen.machine, seen.glibc)


def is_complete(name: str, seen: Seen) -> bool:
    """Whether a release was installed to its end."""
    return f"{RELEASES}/{name}/complete" in seen.entries


def installed(seen: Seen) -> tuple[str, ...]:
    """Complete releases for the host's Python, the newest first."""
    tag = platform_of(seen).tag
    names = [path.rpartition("/")[2] for path in seen.below(RELEASES)]
    whole = [name for name in names if is_complete(name, seen) and name.endswith(f"-{tag}")]
    return tuple(sorted(whole, key=lambda name: -seen.entries[f"{RELEASES}/{name}/complete"].at))


def chosen_release(wish: Wish, seen: Seen) -> str:
    """The id of the wanted release: this checkout's, or the older one that the operator asked for.

    `previous` is the newest on the host that is not this checkout's, so that asking twice is no second step back.
    Raises OperatorError for an older one that is not there.
    """
    ours = wish.release.id(platform_of(seen))
    if not wish.wanted_release:
        return ours
    others = [name for name in installed(seen) if name != ours]
    if wish.wanted_release == "previous" and others:
        return others[0]
    if wish.wanted_release in installed(seen):
        return wish.wanted_release
    there = ", ".join(installed(seen)) or "none"
    raise OperatorError(
        Reason(
            f"{wish.hostname} has no release {wish.wanted_release!r} to go back to",
            f"on the host: {there}. Leave out `--data release=…` to deploy this checkout's",
        )
    )


def current_release(seen: Seen) -> str:
    """The release that runs; empty before the first."""
    entry = seen.entries.get(CURRENT)
    return entry.target.rpartition("/")[2] if entry else ""


def superfluous(seen: Seen) -> tuple[str, ...]:
    """Releases to remove: dead installations, other Pythons', and all but the newest few; never the one in use."""
    names = [path.rpartition("/")[2] for path in seen.below(RELEASES)]
    in_use = current_release(seen)
    ways_back = [name for name in installed(seen) if name != in_use][: KEPT_COUNT - 1]
    return tuple(name for name in names if name not in {in_use, *ways_back}) if in_use else ()
