"""A change: one command on a host, and what it is for. What every step yields and `deployment` carries out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of the operator's that a change needs on the host, in a folder for root alone.

    The script finds its SHA-256 in `$UPLOAD_SHA256`.
    """

    make: Callable[[], Path]
    """Makes the file when the change is made, not when it is only shown."""
    path: str


@dataclass(frozen=True, slots=True)
class Change:
    """One command on the host."""

    what: tuple[str, ...]
    """What is wrong now, one line each, for the plan. Never a secret."""
    script: str
    """Shell text, run as root. Nothing secret: other users see it in `ps`."""
    stdin: str = field(default="", repr=False)
    upload: Upload | None = None
