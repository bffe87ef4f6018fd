"""Debian's packages that a mail host needs: the firewall's tool, the public certificates, and a clock that is kept.

Time matters: signatures, certificates and DNSSEC fail on a host whose clock is off. A keeper that stands already
stays. Nothing is upgraded here; that is the operator's (or unattended-upgrades') own rhythm.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..seen import BASE_PACKAGES, TIME_KEEPERS, Seen
from ..wish import Wish
from .shape import Change, Step


def changes(wish: Wish, seen: Seen) -> Iterator[Change]:
    missing = [name for name in BASE_PACKAGES if name not in seen.packages]
    if not seen.packages & set(TIME_KEEPERS):
        missing.append(TIME_KEEPERS[0])
    if missing:
        install = (
            "DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends -o DPkg::Lock::Timeout=120 install "
            + " ".join(missing)
        )
        # The first try spares a host whose lists are fresh; lists of a new image are missing or old.
        yield Change(
            what=tuple(f"package {name}: missing" for name in missing),
            script=f"{{ {install} || {{ apt-get -q update && {install}; }}; }} >/dev/null",
        )


STEP = Step("packages and time", changes)
