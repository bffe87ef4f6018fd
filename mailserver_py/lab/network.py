"""The lab's network: a namespace with a bridge, one guarded uplink, and a cable per host.

Nothing but the package registries can be reached from a lab: its nftables rules drop by default and let out TCP to
ports 80 and 443 of the addresses that the registries' names have right now, and nothing else, no DNS either (the lab's
resolver knows the registries' addresses from here). What tried to leave is counted.

A host's cable is made before the host boots and outlives its reboots. Programs enter by `nsenter`: `ip netns exec`
would mount a new /sys, which hides the cgroup tree that systemd-nspawn needs.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from urllib.parse import urlsplit

from mailserver_py.errors import WorldError

from .commands import attempt, run
from .images import mirror
from .names import CLIENTS, GATEWAY, NAMESPACES, NETWORK4, NETWORK6, Names, ipv6_of

BRIDGE = "lab0"
UPLINK = "wan"
# Deprecated (RFC 4862 §5.5.4): for who asks for such an address, nobody's default source.
SPARE = ("nodad", "valid_lft", "forever", "preferred_lft", "0")

RULES = """
table inet lab {{
  set registries {{ type ipv4_addr; {elements} }}
  set indexes {{ type ipv4_addr; {indexes} }}
  set stopped {{ type ipv4_addr . ipv4_addr; flags dynamic; size 1024; counter; }}
  counter leaked {{ }}
  chain allowed {{
    ip daddr @registries tcp dport {{ 80, 443 }} accept
    ip6 daddr ff02::/16 drop comment "the kernel's own multicast, which ends at the link anyway"
    update @stopped {{ ip saddr . ip daddr }}
    counter name leaked drop
  }}
  chain forward {{
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    iifname "{bridge}" oifname "{bridge}" accept
    oifname "{uplink}" jump allowed
  }}
  chain output {{
    type filter hook output priority 0; policy accept;
    ct state established,related accept
    oifname "{uplink}" ip daddr @indexes tcp dport 443 accept
    oifname "{uplink}" jump allowed
  }}
  chain postrouting {{
    type nat hook postrouting priority 100; policy accept;
    oifname "{uplink}" masquerade
  }}
}}
table bridge faults {{
  set pairs {{ type ipv4_addr . ipv4_addr; }}
  set pairs6 {{ type ipv6_addr . ipv6_addr; }}
  set ports {{ type ipv4_addr . inet_service; }}
  set ports6 {{ type ipv6_addr . inet_service; }}
  chain forward {{
    type filter hook forward priority 0; policy accept;
    ip saddr . ip daddr @pairs drop
    ip6 saddr . ip6 daddr @pairs6 drop
    ip daddr . tcp dport @ports drop
    ip6 daddr . tcp dport @ports6 drop
  }}
  chain output {{
    type filter hook output priority 0; policy accept;
    ip daddr . tcp dport @ports drop
    ip6 daddr . tcp dport @ports6 drop
  }}
}}
"""

# The machine's half: the same guard again, and the way back.
MACHINE_RULES = """
table ip {table}
delete table ip {table}
table ip {table} {{
  set registries {{ type ipv4_addr; {elements} }}
  chain forward {{
    type filter hook forward priority 0; policy accept;
    iifname "{table}" ip daddr @registries tcp dport {{ 80, 443 }} accept
    iifname "{table}" drop
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {inner} oifname != "{table}" masquerade
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Registry:
    """A package registry by name, with the addresses it has now."""

    name: str
    addresses: tuple[str, ...]
    for_hosts: bool = True
    """False: only the operator's programs, which run in the lab's network, may reach it."""

    def serialize(self) -> str:
        return " ".join([self.name, str(int(self.for_hosts)), *self.addresses])

    @classmethod
    def parse(cls, line: str) -> Registry:
        name, for_hosts, *addresses = line.split()
        return cls(name, tuple(addresses), for_hosts == "1")


def lookup_registries() -> tuple[Registry, ...]:
    """Where this machine's own package clients go; the hosts' apt to the same as ours, pip only from outside them.

    Releases are made at the operator's, so a host never needs a Python index.
    """
    found = [*_resolve(_apt_names(), for_hosts=True), *_resolve(_pip_names(), for_hosts=False)]
    if not any(registry.for_hosts for registry in found):
        raise WorldError("this machine cannot resolve the names of its own package registries")
    return tuple(found)


def _apt_names() -> set[str]:
    names = {urlsplit(mirror()).hostname or ""}
    listed = attempt(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]).stdout
    names |= {urlsplit(uri).hostname or "" for uri in listed.split() if "debian" in uri}
    proxies = attempt(["apt-config", "dump", "Acquire::http::Proxy", "Acquire::https::Proxy"]).stdout
    names |= {urlsplit(uri).hostname or "" for uri in re.findall(r'"(https?://[^"]+)"', proxies)}
    return names


def _pip_names() -> set[str]:
    """The index that pip is set to, else the one that it has built in, with the place of its files."""
    told = attempt([sys.executable, "-m", "pip", "config", "list"]).stdout
    told += "".join(f"{name}={value}\n" for name, value in os.environ.items() if name.startswith("PIP_"))
    names = {urlsplit(uri).hostname or "" for uri in re.findall(r"https?://[^\s'\"]+", told)}
    builtin = "from pip._internal.models.index import PyPI as p; print(p.url, '//' + p.file_storage_domain)"
    names |= {urlsplit(uri).hostname or "" for uri in attempt([sys.executable, "-c", builtin]).stdout.split()}
    return names


def _resolve(names: set[str], *, for_hosts: bool) -> Iterator[Registry]:
    for name in sorted(names - {""}):
        answer = attempt(["getent", "ahostsv4", name], timeout_s=20)
        if addresses := tuple(sorted({line.split()[0] for line in answer.stdout.splitlines()})):
            yield Registry(name, addresses, for_hosts)


@dataclass(frozen=True)
class Network:
    """One lab's network."""

    names: Names

    def at(self, *words: str) -> list[str]:
        """The `ip` command for the lab's namespace."""
        return ["ip", "-n", self.names.namespace, *words]

    @property
    def stands(self) -> bool:
        namespace = NAMESPACES / self.names.namespace
        return namespace.exists() and os.path.ismount(namespace)

    def inside(self, argv: Sequence[str]) -> list[str]:
        """The command that runs `argv` in the lab's network (its files are the machine's)."""
        return ["nsenter", f"--net={NAMESPACES / self.names.namespace}", *argv]

    def create(self, registries: Sequence[Registry]) -> None:
        """Make namespace, bridge, guard and uplink."""
        run(["ip", "netns", "add", self.names.namespace])
        bridge = ["dev", BRIDGE]
        steps = [
            ["link", "set", "lo", "up"],
            ["link", "add", BRIDGE, "type", "bridge"],
            ["addr", "add", f"{GATEWAY}/{NETWORK4.prefixlen}", *bridge],
            ["addr", "add", f"{ipv6_of(GATEWAY)}/{NETWORK6.prefixlen}", *bridge, "nodad"],
            *(["addr", "add", f"{client}/{NETWORK4.prefixlen}", *bridge] for client in CLIENTS),
            *(
                ["addr", "add", f"{ipv6_of(client)}/{NETWORK6.prefixlen}", *bridge, *SPARE]
                for client in CLIENTS
            ),
            ["link", "set", BRIDGE, "up"],
        ]
        self._steps(steps)
        listed = _elements(registry for registry in registries if registry.for_hosts)
        indexes = _elements(registry for registry in registries if not registry.for_hosts)
        rules = RULES.format(bridge=BRIDGE, uplink=UPLINK, elements=listed, indexes=indexes)
        run(self.inside(["nft", "-f", "-"]), stdin=rules)
        self._connect_uplink(_elements(registries))

    def plug(self, host: str, addresses: Sequence[IPv4Address | IPv6Address], port: str) -> None:
        """Give a host its network namespace, its cable (`port` at the bridge's end) and its addresses.

        An address outside the lab's networks (a rehearsed site's public one) is added as it is, and routed here.
        """
        namespace = self.names.host(host)
        # The same hardware address for the same IP address, always: a host made anew must not be strange to those
        # whose kernels remember the old one. 02: locally administered.
        hardware = "02:00:" + ":".join(f"{octet:02x}" for octet in addresses[0].packed[-4:])
        run(["ip", "netns", "add", namespace])
        self._steps([
            ["link", "add", port, "type", "veth", "peer", "name", "eth0", "address", hardware, "netns", namespace],
            ["link", "set", port, "master", BRIDGE, "up"],
        ])  # fmt: skip
        steps = [["link", "set", "lo", "up"], ["link", "set", "eth0", "up"]]
        for address in addresses:
            own = NETWORK4 if address.version == 4 else NETWORK6
            length = own.prefixlen if address in own else address.max_prefixlen
            nodad = ["nodad"] if address.version == 6 else []
            steps.append(["addr", "add", f"{address}/{length}", "dev", "eth0", *nodad])
            if address not in own:
                self._steps([["route", "replace", str(address), "dev", BRIDGE]])
        steps.append(["route", "add", "default", "via", str(GATEWAY)])
        steps.append(["route", "add", "default", "via", str(ipv6_of(GATEWAY))])
        run(["ip", "-n", namespace, "-batch", "-"], stdin=_batch(steps))

    def unplug(self, host: str, port: str) -> None:
        attempt(self.at("link", "del", port))
        attempt(["ip", "netns", "del", self.names.host(host)])

    def leaked_count(self) -> int:
        """Packets that tried to leave the lab, and were dropped."""
        seen = attempt(self.inside(["nft", "list", "counter", "inet", "lab", "leaked"])).stdout
        found = re.search(r"packets (\d+)", seen)
        return int(found.group(1)) if found else 0

    def leaks(self) -> tuple[tuple[str, str], ...]:
        """Who wanted to leave, and to where: pairs of IPv4 addresses."""
        seen = attempt(self.inside(["nft", "list", "set", "inet", "lab", "stopped"])).stdout
        pairs = re.findall(r"(\d+\.\d+\.\d+\.\d+) \. (\d+\.\d+\.\d+\.\d+) counter", seen)
        return tuple(sorted(set(pairs)))

    def _connect_uplink(self, registries: str) -> None:
        outer, inner = self.names.uplink
        link = self.names.namespace
        run(
            ["ip", "link", "add", link, "type", "veth", "peer", "name", UPLINK, "netns", self.names.namespace]
        )
        run(["ip", "addr", "add", f"{outer}/30", "dev", link])
        # No IPv6 on the uplink: a router's announcement must not open a second way out.
        self._write_inside(f"net/ipv6/conf/{UPLINK}/disable_ipv6", "1")
        Path(f"/proc/sys/net/ipv6/conf/{link}/disable_ipv6").write_text("1")
        run(["ip", "link", "set", link, "up"])
        self._steps([
            ["addr", "add", f"{inner}/30", "dev", UPLINK],
            ["link", "set", UPLINK, "up"],
            ["route", "add", "default", "via", str(outer)],
        ])  # fmt: skip
        self._write_inside("net/ipv4/ip_forward", "1")
        self._write_inside("net/ipv6/conf/all/forwarding", "1")
        run(["nft", "-f", "-"], stdin=MACHINE_RULES.format(table=link, elements=registries, inner=inner))

    def _write_inside(self, setting: str, value: str) -> None:
        run(self.inside(["sh", "-c", 'echo "$2" > "/proc/sys/$1"', "sh", setting, value]))

    def _steps(self, steps: Sequence[Sequence[str]]) -> None:
        run(self.at("-batch", "-"), stdin=_batch(steps))


def _elements(registries: Iterable[Registry]) -> str:
    addresses = sorted({address for registry in registries for address in registry.addresses})
    return f"elements = {{ {', '.join(addresses)} }}" if addresses else ""


def _batch(steps: Sequence[Sequence[str]]) -> str:
    return "".join(" ".join(step) + "\n" for step in steps)
