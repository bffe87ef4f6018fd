"""What a machine must have and allow before a lab can stand on it; everything that is missing, at once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from mailserver_py.errors import OperatorError, Reason

from . import cgroups
from .commands import SEARCH_PATH, attempt
from .images import mirror
from .names import CACHE, STATE

# Program → the Debian package that has it.
TOOLS = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "mkfs.ext4": "e2fsprogs",
    "ethtool": "ethtool",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "mount": "mount",
}
# capabilities(7): numbers of those that a lab cannot do without.
CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_SYS_CHROOT": 18, "CAP_SYS_ADMIN": 21, "CAP_MKNOD": 27}
TRY = "where hosts cannot be booted, `mailserver try SITE` runs the same server unprivileged on loopback"


def check(site: str = "SITE") -> None:
    """Raises `OperatorError` with every reason why no lab can stand here."""
    if os.geteuid() != 0:
        cure = f"run it as root; {TRY.replace('SITE', site)}"
        raise OperatorError(Reason("the lab boots hosts, which needs root", cure))
    reasons = [*_permissions(site), *_tools()]
    try:
        mirror()
    except OperatorError as error:
        reasons += error.reasons
    if reasons:
        raise OperatorError(*reasons)


def missing_packages() -> list[str]:
    """What apt has to install, in the order of the table."""
    packages = [package for tool, package in TOOLS.items() if shutil.which(tool, path=SEARCH_PATH) is None]
    return list(dict.fromkeys(packages))


def _tools() -> Iterator[Reason]:
    if packages := missing_packages():
        yield Reason("programs are missing that the lab needs", f"apt-get install {' '.join(packages)}")


def _permissions(site: str) -> Iterator[Reason]:
    cure = TRY.replace("SITE", site)
    lines = Path("/proc/self/status").read_text().splitlines()
    held = int(next(line.split()[1] for line in lines if line.startswith("CapEff:")), 16)
    lacking = [name for name, bit in CAPABILITIES.items() if not held >> bit & 1]
    if lacking:
        yield Reason(f"this root may not boot hosts: it lacks {', '.join(lacking)} (a container?)", cure)
        return
    if (
        "\toverlay" not in Path("/proc/filesystems").read_text()
        and attempt(["modprobe", "overlay"]).returncode
    ):
        yield Reason("this kernel has no overlayfs, on which the hosts' disks stand", cure)
    if _file_system(STATE) == "overlayfs":
        yield Reason(
            f"{STATE} would lie on an overlay, and the hosts' disks cannot (a container?)",
            f"mount another file system at {STATE} and {CACHE}; or: {cure}",
        )
    trees = cgroups.hierarchies()
    if not trees or not os.access(trees[0], os.W_OK) or os.statvfs(trees[0]).f_flag & os.ST_RDONLY:
        yield Reason("there is no cgroup2 tree here that could be written to (a container?)", cure)


def _file_system(folder: Path) -> str:
    """The kind of file system that a folder, or the first of its parents that exists, lies on."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return attempt(["stat", "--file-system", "--format=%T", str(there)]).stdout.strip()
