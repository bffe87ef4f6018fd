"""A host's disk: an overlay over read-only images, on the machine's file system or on a virtual disk of its own.

What the host writes goes to `upper`. On a virtual disk (`size_bytes`) that is an ext4 image on a loop device: it can be
filled, and it can lose power. Its dirty pages reach the image file only by fsync or by the kernel's write-back, so a
copy of the file, taken the moment everything stopped, holds what a real disk would: `lose_power`.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from .commands import run
from .images import Image, mount_tree

# ext4 commits its journal by itself every 5 s; a power cut shall show what was not asked to be durable.
COMMIT_S = 300


@dataclass(frozen=True, slots=True)
class Disk:
    """What a host of the lab stands on."""

    folder: Path
    """The host's folder in the lab's state."""
    image: Image
    source: str
    """The mount's name in the kernel, by which `down` finds it."""
    size_bytes: int = 0
    """Size of a virtual disk; 0: none."""

    @property
    def root(self) -> Path:
        """The host's whole file system, as mounted here."""
        return self.folder / "root"

    @property
    def written(self) -> Path:
        return self.folder / "disk"

    @property
    def file(self) -> Path:
        return self.folder / "disk.img"

    def create(self) -> None:
        self.root.mkdir(parents=True)
        self.written.mkdir()
        if self.size_bytes:
            with self.file.open("wb") as image:
                image.truncate(self.size_bytes)
            run(["mkfs.ext4", "-q", "-F", "-m", "0", str(self.file)])
        self.mount()

    def mount(self) -> None:
        """Mount it, if it is not."""
        if self.size_bytes and not os.path.ismount(self.written):
            run(["mount", "-o", f"loop,commit={COMMIT_S}", str(self.file), str(self.written)])
        upper, work = self.written / "upper", self.written / "work"
        upper.mkdir(exist_ok=True)
        work.mkdir(exist_ok=True)
        if not os.path.ismount(self.root):
            mount_tree(self.image.folders(), upper, work, self.root, self.source)

    def settle(self) -> None:
        """Bring to a virtual disk what was written from outside: a power cut shall lose only the host's own writes."""
        if self.size_bytes:
            run(["sync", "--file-system", str(self.written)])

    def unmount(self) -> None:
        # Lazily: a process that died a moment ago may still hold it.
        for place in (self.root, self.written):
            if os.path.ismount(place):
                run(["umount", "--lazy", str(place)])

    def lose_power(self) -> None:
        """Forget every write that was not durable; everything that used the disk must be dead."""
        copy = self.folder / "disk.new"
        run(["cp", "--sparse=always", str(self.file), str(copy)])
        self.unmount()
        self.file.unlink()
        copy.rename(self.file)

    def save(self, target: Path) -> None:
        """Keep what the host wrote as a layer for later hosts; the host must be down."""
        self.unmount()
        self.mount()
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        # -a keeps overlayfs's marks for what was removed (whiteouts, xattrs).
        run(["cp", "--archive", "--reflink=auto", str(self.written / "upper"), str(target)])

    def remove(self) -> None:
        self.unmount()
        shutil.rmtree(self.folder, ignore_errors=True)
