"""The menu of provisioning steps: a fresh Debian host becomes a mail host in this order.

Invariants:
- A step compares and changes; it never relies on an earlier step having run in this deploy.
- Nothing is in use before it is whole: the release before the link to it, the link before the restart.
- What the host serves is restarted last, one process after the other, and asked whether it answers.

To add a step: a leaf with its `STEP` (see `shape`), its template below `templates/`, a row here, and a test in
`tests/provision/steps/`.
"""

from __future__ import annotations

from . import (
    certificate,
    directories,
    firewall,
    listeners,
    old_releases,
    packages,
    processes,
    release,
    secrets,
    settings,
    units,
    user,
)
from .shape import Gate, Step

MENU: tuple[Step | Gate, ...] = (
    packages.STEP,
    user.STEP,
    directories.STEP,
    release.STEP,
    secrets.STEP,
    settings.STEP,
    firewall.STEP,
    units.STEP,
    processes.STEP,
    listeners.STEP,
    certificate.STEP,
    old_releases.STEP,
)
