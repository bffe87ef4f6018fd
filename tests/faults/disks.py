"""Disks that can be cut off, filled up, and mounted again: loop-mounted ext4 images and small tmpfs. Needs root.

`EXT4_IOC_SHUTDOWN` without a log flush is a power cut as the file system sees it: whatever was not synced is gone with
the page cache. `kill -9` never shows that.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

EXT4_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2


def run(*command: str | Path) -> None:
    """Runs a system command. Raises CalledProcessError with what it said."""
    subprocess.run(list(map(str, command)), check=True, capture_output=True)


class Disk:
    """An ext4 file system in an image file."""

    def __init__(self, folder: Path, size: str = "256M", *options: str) -> None:
        self.image = folder / "disk.img"
        self.place = folder / "disk"
        self.place.mkdir()
        run("truncate", "-s", size, self.image)
        run("mkfs.ext4", "-q", "-F", *options, self.image)

    def mount(self) -> None:
        """Mounts it; journal and orphans are recovered by the kernel, as after a real cut."""
        run("mount", "-o", "loop", self.image, self.place)

    def cut_power(self) -> None:
        """Everything not yet synced is lost from now on."""
        handle = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(handle)

    def umount(self) -> None:
        """Unmounts; waits a little for processes that are just going."""
        for attempt in range(100):
            try:
                run("umount", self.place)
            except subprocess.CalledProcessError:
                if attempt == 99:
                    raise
                time.sleep(0.02)
            else:
                return


@contextlib.contextmanager
def mounted(folder: Path, size: str = "256M", *options: str) -> Iterator[Disk]:
    """A mounted disk for the block."""
    disk = Disk(folder, size, *options)
    disk.mount()
    try:
        yield disk
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            disk.umount()


@contextlib.contextmanager
def small_tmpfs(place: Path, size: str) -> Iterator[Path]:
    """A tmpfs of so many bytes."""
    place.mkdir(exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place)
    try:
        yield place
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            run("umount", place)
