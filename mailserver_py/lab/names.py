"""What a lab's things are called, in the kernel and on the disk.

Every name holds the lab's name, so that two labs stand side by side, and so that `down` finds what is left of one by
asking the kernel, also when the lab's own files are gone. A lab's name has no hyphen: `ms-a-b` is host `b` of lab `a`.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

from mailserver_py.errors import OperatorError

PREFIX = "ms-"
DEFAULT_LAB = "lab"

# Every lab has its own network namespace, so all use the same addresses.
NETWORK4 = IPv4Network("10.88.0.0/24")
NETWORK6 = IPv6Network("fd88::/64")
GATEWAY = IPv4Address("10.88.0.1")
NAMESERVER = IPv4Address("10.88.0.2")
RESOLVER = IPv4Address("10.88.0.3")
AUTHORITY = IPv4Address("10.88.0.4")
STRANGER = IPv4Address("10.88.0.5")
FIRST_HOST = IPv4Address("10.88.0.10")
LAST_HOST = IPv4Address("10.88.0.199")
CLIENTS = tuple(IPv4Address(f"10.88.0.{n}") for n in range(200, 210))
"""Addresses of the lab itself, for clients that must come from several places (limits per address)."""

# The machine's side of a lab: one /30 out of this network, found by the lab's name.
UPLINKS = IPv4Network("10.89.0.0/16")

CACHE = Path("/var/cache/mailserver-lab")
"""Base images and SSH host keys; outlives `down`."""
STATE = Path("/var/lib/mailserver-lab")
"""One folder per lab: disks, logs, keys; removed by `down`."""
NAMESPACES = Path("/run/netns")


def ipv6_of(address: IPv4Address) -> IPv6Address:
    """The lab's IPv6 address beside an IPv4 one: 10.88.0.10 is also fd88::a."""
    return NETWORK6[int(address) - int(NETWORK4.network_address)]


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one lab."""

    lab: str = DEFAULT_LAB

    def __post_init__(self) -> None:
        # 8 characters: with the prefix it must fit an interface name (15).
        if not re.fullmatch(r"[a-z][a-z0-9]{0,7}", self.lab):
            raise OperatorError(f"a lab's name is 1 to 8 small letters and digits, not {self.lab!r}")

    @property
    def namespace(self) -> str:
        """Network namespace; also the name of the uplink and of the machine's nft table."""
        return f"{PREFIX}{self.lab}"

    def host(self, name: str) -> str:
        """A host's network namespace, cgroup, mount source and machine name."""
        return f"{PREFIX}{self.lab}-{name}"

    def owns(self, name: str) -> bool:
        """Whether a name seen in the kernel belongs to this lab."""
        return name == self.namespace or name.startswith(f"{self.namespace}-")

    @property
    def state(self) -> Path:
        return STATE / self.lab

    @property
    def hosts(self) -> Path:
        return self.state / "hosts"

    @property
    def uplink(self) -> tuple[IPv4Address, IPv4Address]:
        """The machine's and the lab's end of the uplink."""
        slot = zlib.crc32(self.lab.encode()) % (UPLINKS.num_addresses // 4)
        first = UPLINKS.network_address + 4 * slot
        return first + 1, first + 2
