"""What is mounted below a folder, by the kernel's table, and its end. Nothing is removed through a mount."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from .commands import attempt


def mounted_below(folder: Path) -> tuple[Path, ...]:
    """Mount points at or below a folder, deepest first."""
    places = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        # proc(5): the fifth column is the mount point, with octal escapes for space, tab, newline, backslash.
        place = Path(re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), line.split()[4]))
        if folder == place or folder in place.parents:
            places.append(place)
    return tuple(sorted(places, key=lambda place: len(place.parts), reverse=True))


def remove_tree(folder: Path) -> None:
    """Unmount what is mounted in a folder, then remove it; it stays when something cannot be unmounted."""
    # Lazily, for what a dying process still holds.
    for place in mounted_below(folder):
        attempt(["umount", "--lazy", str(place)])
    if not mounted_below(folder):
        shutil.rmtree(folder, ignore_errors=True)
