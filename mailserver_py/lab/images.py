"""Base images: Debian as a provider would hand it out, made once by mmdebstrap and kept.

An image is a read-only folder tree under `CACHE/images`, named by what it holds and a hash of how it is made, so that a
changed list of packages makes a new one. A layer is what installing packages over an image changed; overlayfs puts it
on top. Images appear by rename, whole or not at all.

The mirror is the one that this machine's apt uses; no host name of a mirror stands in here.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mailserver_py.errors import OperatorError, Reason

from .commands import attempt, run
from .mounts import remove_tree
from .names import CACHE

Say = Callable[[str], None]

BASE_PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "libpam-systemd", "udev"),
    *("openssh-server", "sudo", "python3", "ca-certificates", "curl"),
    *("nftables", "iproute2", "iputils-ping", "netbase", "procps", "kmod", "less"),
    "libfaketime",  # for `faults.set_clock`; nothing loads it otherwise
)

# A host of the lab has no console to log in to, and must not talk to mirrors by itself in the middle of a test.
NOT_IN_A_LAB = ("apt-daily.timer", "apt-daily-upgrade.timer", "fstrim.timer", "dpkg-db-backup.timer",
                "e2scrub_all.timer", "systemd-pstore.service")  # fmt: skip
MASKED = ("console-getty.service", "getty@.service", "systemd-networkd-wait-online.service")


@dataclass(frozen=True, slots=True)
class Image:
    """What a host's disk holds when it is first switched on."""

    name: str
    release: str
    layers: tuple[tuple[str, ...], ...] = ()
    """Packages of each layer, lowest first."""
    saved: str = ""
    """A layer made by `Host.save`, on top of all."""

    @property
    def base(self) -> Path:
        return CACHE / "images" / f"{self.release}-{_key(self.release, *BASE_PACKAGES)}"

    def folders(self) -> tuple[Path, ...]:
        """The read-only trees, lowest first."""
        trees = [self.base]
        for packages in self.layers:
            trees.append(CACHE / "images" / f"{self.name}-{_key(str(trees[-1]), *packages)}")
        if self.saved:
            trees.append(Path(self.saved))
        return tuple(trees)

    def missing(self) -> bool:
        return any(not tree.is_dir() for tree in self.folders())


BOOKWORM = Image("bookworm", "bookworm")
TRIXIE = Image("trixie", "trixie")
RELEASES = {"bookworm": BOOKWORM, "trixie": TRIXIE, "12": BOOKWORM, "13": TRIXIE}
# Debian 13's pebble is the first that knows ACME Renewal Information (RFC 9773).
INFRASTRUCTURE = Image("infrastructure", "trixie", (("knot", "knot-dnsutils", "unbound", "pebble"),))
STRANGER_PACKAGES = ("postfix", "postfix-pcre", "dovecot-imapd", "dovecot-pop3d", "dovecot-lmtpd",
                     "opendkim", "opendkim-tools", "postfix-policyd-spf-python", "swaks", "ssl-cert")  # fmt: skip
STRANGER_IMAGE = Image("stranger", "bookworm", (STRANGER_PACKAGES,))


def mirror() -> str:
    """Where this machine's apt gets Debian from; `OperatorError` when it does not."""
    if wish := os.environ.get("MAILSERVER_LAB_MIRROR"):
        return wish
    own = ""
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            own = line.partition("=")[2].strip('"')
    listed = attempt(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)",
                      "Created-By: Packages"])  # fmt: skip
    for line in listed.stdout.splitlines():
        uri, _, rest = line.partition(" ")
        if rest == f"{own} main" and uri.rstrip("/").endswith("debian"):
            return uri
    cure = "add a Debian mirror to /etc/apt, or set MAILSERVER_LAB_MIRROR to one"
    raise OperatorError(Reason("apt on this machine knows no mirror of Debian", cure))


def ensure_image(image: Image, say: Say) -> None:
    """Make whatever of an image is not there yet."""
    if not image.missing():
        return
    trees = image.folders()
    if not trees[0].is_dir():
        with _alone(trees[0]):
            if not trees[0].is_dir():
                say(f"making the base image of Debian {image.release} (once)")
                _make_base(image.release, trees[0])
    for position, packages in enumerate(image.layers, start=1):
        with _alone(trees[position]):
            if not trees[position].is_dir():
                say(f"installing {', '.join(packages[:3])} … for image {image.name} (once)")
                _make_layer(trees[:position], packages, trees[position])


def ensure_images(images: Sequence[Image], say: Say) -> bool:
    """Make several side by side, as they have a core each; whether there was anything to make."""
    missing = [image for image in images if image.missing()]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda image: ensure_image(image, say), missing))
    return bool(missing)


def mount_tree(trees: tuple[Path, ...], upper: Path, work: Path, root: Path, source: str) -> None:
    """Mount trees (lowest first), with `upper` taking what is written, at `root`."""
    lower = ":".join(str(tree) for tree in reversed(trees))
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    run(["mount", "-t", "overlay", source, "-o", options, str(root)])


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """One maker per tree, over threads and processes (each opens the lock anew)."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(f".{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _workshop(target: Path) -> Iterator[Path]:
    """A folder beside `target` to build in; what a killed maker of the same tree left goes first."""
    for old in target.parent.glob(f".{target.name}.making-*"):
        remove_tree(old)
    shop = Path(tempfile.mkdtemp(prefix=f".{target.name}.making-", dir=target.parent))
    shop.chmod(0o755)
    try:
        yield shop
    finally:
        remove_tree(shop)


def _make_base(release: str, target: Path) -> None:
    with _workshop(target) as shop:
        root = shop / "root"
        options = ["--variant=apt", "--mode=root", f"--include={','.join(BASE_PACKAGES)}"]
        apt_options = ["--aptopt=Acquire::Languages none", "--aptopt=APT::Install-Recommends false"]
        run(["mmdebstrap", *options, *apt_options, release, str(root), mirror()])
        for name in ("etc/hostname", "etc/resolv.conf"):
            (root / name).unlink(missing_ok=True)
        for key in (root / "etc/ssh").glob("ssh_host_*"):
            key.unlink()
        attempt(["systemctl", f"--root={root}", "disable", *NOT_IN_A_LAB])
        attempt(["systemctl", f"--root={root}", "mask", *MASKED])
        root.rename(target)


def _make_layer(below: tuple[Path, ...], packages: tuple[str, ...], target: Path) -> None:
    with _workshop(target) as shop:
        upper, work, root = (shop / name for name in ("upper", "work", "root"))
        for folder in (upper, work, root):
            folder.mkdir()
        mount_tree(below, upper, work, root, "ms-making")
        try:
            resolv = root / "etc/resolv.conf"
            resolv.write_text(Path("/etc/resolv.conf").read_text())
            # Packages must not start their services in a chroot (Debian Policy §9.3.3.1, invoke-rc.d).
            policy = root / "usr/sbin/policy-rc.d"
            policy.write_text("#!/bin/sh\nexit 101\n")
            policy.chmod(0o755)
            quiet = {"DEBIAN_FRONTEND": "noninteractive"}
            for words in (["update"], ["install", "--no-install-recommends", *packages], ["clean"]):
                run(["chroot", str(root), "apt-get", "--quiet", "--yes", *words], extra=quiet)
            policy.unlink()
            resolv.unlink()
        finally:
            run(["umount", str(root)])
        upper.rename(target)
