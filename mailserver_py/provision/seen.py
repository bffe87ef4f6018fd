"""What a host is like now: the answer of `onhost.probe`, as values.

One look serves all the steps until one of them changes something. A look is never kept for the next run, and
nothing of it flows back into the wish.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

TREES = (
    "/etc/mailserver",
    "/etc/mailserver/*",
    "/etc/mailserver/*/*",
    "/etc/credstore",
    "/etc/credstore/mailserver",
    "/etc/credstore/mailserver/*",
    "/etc/systemd/system/mailserver-*",
    "/etc/systemd/journald@mailserver.conf",
    "/etc/systemd/journald.conf.d/mailserver.conf",
    "/etc/tmpfiles.d/mailserver.conf",
    "/usr/local/bin/mailserver",
    "/opt/mailserver",
    "/opt/mailserver/*",
    "/opt/mailserver/releases/*",
    "/opt/mailserver/releases/*/complete",
    "/run/mailserver",
    "/run/mailserver/*",
    "/var/lib/mailserver",
    "/var/lib/mailserver/verify",
    "/var/lib/mailserver-tls",
)
"""Where our things lie on a host. What is found there and not wished for is ours to remove."""

TIME_KEEPERS = ("systemd-timesyncd", "chrony", "ntpsec", "openntpd", "ntp")
"""Debian's packages that keep the clock; any one is enough."""
BASE_PACKAGES = ("nftables", "ca-certificates")


@dataclass(frozen=True, slots=True)
class Entry:
    """One path."""

    kind: Literal["file", "directory", "link", "other"]
    mode: int
    uid: int
    gid: int
    at: float
    """Modification time, seconds since the epoch."""
    digest: str = ""
    """SHA-256 of a file's content."""
    target: str = ""


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that listens on a port."""

    port: int
    pid: int
    process: str
    unit: str
    """The last part of its control group."""
    protocol: Literal["tcp", "udp"] = "tcp"
    public: bool = True
    """Whether the address is another than the loopback's."""


@dataclass(frozen=True, slots=True)
class Account:
    """A system user as the host has it."""

    uid: int
    gid: int
    home: str
    shell: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A host at one moment."""

    uid: int = 0
    """As whom the probe ran; not 0: no root."""
    os_id: str = ""
    os_version: str = ""
    systemd: bool = True
    python: tuple[int, int] = (0, 0)
    machine: str = ""
    glibc: str = ""
    cpu_count: int = 1
    now_s: float = 0
    ssh_port: int = 0
    """The host's port that the operator came in on; 0: unknown."""
    free_bytes: Mapping[str, int] = field(default_factory=dict)
    entries: Mapping[str, Entry] = field(default_factory=dict)
    users: Mapping[str, Account] = field(default_factory=dict)
    groups: Mapping[str, int] = field(default_factory=dict)
    packages: frozenset[str] = frozenset()
    units: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """`systemctl show` of our units; `Stamp` is what the running process was started with."""
    holders: Sequence[Holder] = ()
    """Of the ports that we want."""
    public: Sequence[Holder] = ()
    """Of all the ports that others can reach but for the firewall."""
    firewall: str = ""
    """The line of our loaded nftables table that names its digest."""
    certificate: Mapping[str, Any] = field(default_factory=dict)
    """`about.json` beside the certificate in use."""
    schemas: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By release on the host: the newest forms of the store's databases (`site`, `account`) that it knows."""
    stored: Mapping[str, int] = field(default_factory=dict)
    """The newest forms that its databases have."""

    def below(self, folder: str) -> tuple[str, ...]:
        """The paths directly in a folder, sorted."""
        return tuple(sorted(p for p in self.entries if p.rpartition("/")[0] == folder))

    def unit(self, name: str) -> Mapping[str, str]:
        return self.units.get(name, {})

    def active(self, unit: str) -> bool:
        return self.unit(unit).get("ActiveState") == "active"


def parse_seen(answer: Mapping[str, Any]) -> Seen:
    """The probe's JSON object as values."""
    return Seen(
        uid=answer["uid"],
        os_id=answer["os_id"],
        os_version=answer["os_version"],
        systemd=answer["systemd"],
        python=(answer["python"][0], answer["python"][1]),
        machine=answer["machine"],
        glibc=answer["glibc"],
        cpu_count=answer["cpu_count"],
        now_s=answer["now_s"],
        ssh_port=answer["ssh_port"],
        free_bytes=answer["free_bytes"],
        entries={path: Entry(**entry) for path, entry in answer["entries"].items()},
        users={name: Account(*row) for name, row in answer["users"].items()},
        groups=answer["groups"],
        packages=frozenset(answer["packages"]),
        units=answer["units"],
        holders=tuple(Holder(**row) for row in answer["listeners"]),
        public=tuple(Holder(**row) for row in answer.get("public", ())),
        firewall=answer["firewall"][0] if answer["firewall"] else "",
        certificate=answer["certificate"],
        schemas=answer.get("schemas", {}),
        stored=answer.get("stored", {}),
    )
