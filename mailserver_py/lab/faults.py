"""Faults: what can go wrong with a host that stands, done to it from outside, and taken back.

Killing and power cuts are the host's own (`Host.kill`, `Host.lose_power`); here are the cable, the ports, the disk and
the clock. The kernel's netem is not everywhere, so delay and loss are a small relay program put into the cable.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from . import cgroups
from .commands import attempt, leave_running, run
from .host import Host
from .network import BRIDGE, Network

Address = IPv4Address | IPv6Address
RELAY = Path(__file__).with_name("relay.py")
FILLER = "var/lib/lab-filler"
# A relay in user space must see frames as the wire would have them, not merged or half-summed.
OFFLOADS = ("gro", "off", "gso", "off", "tso", "off", "tx", "off")


@dataclass(frozen=True)
class Faults:
    """Faults in one lab's network and hosts."""

    network: Network

    def cut(self, host: Host) -> None:
        """Pull the cable: no packet, no reset, just silence."""
        self._link("set", host.port, "down")

    def heal(self, host: Host) -> None:
        """Take back every fault of the network that concerns a host, and all blocks of the lab."""
        self._link("set", host.port, "up")
        self.delay(host, 0.0)
        for name in ("pairs", "pairs6", "ports", "ports6"):
            run(self.network.inside(["nft", "flush", "set", "bridge", "faults", name]))

    def block(self, one: Host, other: Host, *, on: bool = True) -> None:
        """Drop every packet between two hosts."""
        for a in one.plan.addresses:
            for b in other.plan.addresses:
                if a.version == b.version:
                    self._element("pairs", a, on, f"{a} . {b}, {b} . {a}")

    def block_port(self, host: Host, port: int, *, on: bool = True) -> None:
        """Drop every connection to a TCP port of a host, as a provider's filter would."""
        for address in host.plan.addresses:
            self._element("ports", address, on, f"{address} . {port}")

    def delay(self, host: Host, delay_ms: float, loss_percent: float = 0.0) -> None:
        """Hold every frame for a time each way, and lose a share of them; 0 and 0 take it back."""
        group = f"{host.id}.relay"
        inner, outer = f"i{host.port}", f"o{host.port}"
        cgroups.kill(group)
        cgroups.remove(group)
        attempt(self.network.at("link", "del", inner))
        if not delay_ms and not loss_percent:
            self._link("set", host.port, "master", BRIDGE)
            return
        self._link("add", inner, "type", "veth", "peer", "name", outer)
        self._link("set", inner, "master", BRIDGE, "up")
        self._link("set", outer, "up", "promisc", "on")
        self._link("set", host.port, "nomaster", "promisc", "on")
        for port in (host.port, inner, outer, BRIDGE):
            attempt(self.network.inside(["ethtool", "-K", port, *OFFLOADS]))
        host.attempt("ethtool", "-K", "eth0", *OFFLOADS)
        attempt(["nsenter", f"--net=/run/netns/{host.id}", "ethtool", "-K", "eth0", *OFFLOADS])
        relay = [sys.executable, str(RELAY), host.port, outer, str(delay_ms), str(loss_percent)]
        leave_running(cgroups.joining(group, self.network.inside(relay)), log=host.folder / "relay.log")

    def fill_disk(self, host: Host, *, leave_bytes: int = 0) -> None:
        """Fill a host's own disk up to `leave_bytes`."""
        free = int(host.run("df", "--output=avail", "--block-size=1", "/").split()[-1])
        size_bytes = max(0, free - leave_bytes)
        # Without fallocate the last blocks stay free; dd takes them until there are none.
        host.attempt("fallocate", "--length", str(size_bytes), f"/{FILLER}")
        if not leave_bytes:
            host.attempt("dd", "if=/dev/zero", f"of=/{FILLER}.rest", "bs=4k")

    def free_disk(self, host: Host) -> None:
        host.run("rm", "-f", f"/{FILLER}", f"/{FILLER}.rest")
        # ext4 gives freed blocks out again only after a commit, and our disks commit seldom.
        host.run("sync")

    def set_clock(self, host: Host, offset_s: int) -> None:
        """Give every service that starts from now on a wall clock that is off; 0 takes it back.

        Monotonic clocks stay true, as on a host whose clock was set wrong. Restart what shall feel it.
        """
        library = host.run("sh", "-c", "ls /usr/lib/*/faketime/libfaketime.so.1").strip()
        if offset_s:
            faked = [f"LD_PRELOAD={library}", f"FAKETIME={offset_s:+d}", "FAKETIME_DONT_FAKE_MONOTONIC=1"]
            host.run("systemctl", "set-environment", *faked)
        else:
            host.run(
                "systemctl", "unset-environment", "LD_PRELOAD", "FAKETIME", "FAKETIME_DONT_FAKE_MONOTONIC"
            )

    def _element(self, kind: str, address: Address, on: bool, elements: str) -> None:
        suffix = "" if address.version == 4 else "6"
        words = [
            "nft",
            "add" if on else "delete",
            "element",
            "bridge",
            "faults",
            f"{kind}{suffix}",
            f"{{ {elements} }}",
        ]
        run(self.network.inside(words))

    def _link(self, verb: str, port: str, *words: str) -> None:
        run(self.network.at("link", verb, port, *words))
