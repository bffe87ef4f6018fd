"""DNS in the lab: Knot as the authoritative server of every zone, unbound as everybody's validating resolver.

Both run on one host, at two addresses. Zones under `test.` are delegated there with their DS; a rehearsed site's own
zones get a trust anchor of their own in the resolver, since nobody here can sign for their parents. The lab also plays
the provider who keeps the reverse zones.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from mailserver_py.errors import WorldError

from .host import Host, HostPlan
from .images import INFRASTRUCTURE
from .names import AUTHORITY, NAMESERVER, NETWORK4, NETWORK6, RESOLVER, ipv6_of
from .network import Registry
from .texts import render

NAME = "dns"
TOP = "test"
# Signing a small zone takes a tenth of a second.
SIGNING_S = 15.0


Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class TsigKey:
    """Who may change and transfer a zone (RFC 8945)."""

    name: str
    algorithm: str
    secret: str
    """Base 64."""


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone that the lab serves, and what it starts with."""

    name: str
    """Without a dot at the end."""
    records: tuple[str, ...] = ()
    """What it starts with, in master file format (RFC 1035 §5), beside SOA and NS."""
    key_name: str = ""
    """The TSIG key that may update it; empty: nobody."""
    signed: bool = True
    ds: str = ""
    """Its DS record, when the resolver must be told; filled in by the name server."""

    def holds(self, name: str) -> bool:
        name = name.rstrip(".").lower()
        return name == self.name or name.endswith(f".{self.name}")


def reverse_zone(address: Address) -> str:
    """The reverse zone that a provider would keep for an address: its /24, or its /64."""
    if address in NETWORK4 or address in NETWORK6:
        network: IPv4Network | IPv6Network = NETWORK4 if address.version == 4 else NETWORK6
    else:
        network = ip_network(f"{address}/{24 if address.version == 4 else 64}", strict=False)
    labels = network.network_address.reverse_pointer.split(".")
    digits = (network.max_prefixlen - network.prefixlen) // (8 if network.version == 4 else 4)
    return ".".join(labels[digits:])


def plan(further: Sequence[Address] = ()) -> HostPlan:
    """The DNS host; `further` are addresses at which a rehearsed site expects its name server."""
    resolver = (RESOLVER, ipv6_of(RESOLVER))
    return HostPlan(NAME, NAMESERVER, INFRASTRUCTURE, (*resolver, *further))


@dataclass(frozen=True)
class Nameserver:
    """The DNS host and what it serves."""

    host: Host

    # ------------------------------------------------------------ before the host boots

    def furnish(self) -> None:
        """Write the configuration and the top zone."""
        resolver = (RESOLVER, ipv6_of(RESOLVER))
        addresses = [address for address in self.host.plan.addresses if address not in resolver]
        self.host.write("etc/knot/knot.conf", render("knot.conf", addresses=addresses))
        nothing = "# knot wants one file at least\n"
        self.host.write("etc/knot/keys/none.conf", nothing)
        self._write_zone(Zone(TOP, _top_records()))
        for name in ("etc/unbound/unbound.conf.d/root-auto-trust-anchor-file.conf",
                     "etc/systemd/system/multi-user.target.wants/unbound.service"):  # fmt: skip
            (self.host.root / name).unlink(missing_ok=True)

    # ------------------------------------------------------------ on the running host

    def wait(self) -> None:
        """Until it takes commands; it answers on port 53 a moment earlier."""
        self.host.wait(lambda: self.host.attempt("knotc", "status").returncode == 0, "knot does not start")

    def start_resolver(
        self,
        registries: Sequence[Registry],
        zones: Sequence[Zone],
        stand_ins: Sequence[tuple[str, IPv4Address]],
    ) -> None:
        """Tell the resolver what it may know, and (re)start it.

        `stand_ins` are names of the world that the lab answers for, with the address that answers.
        """
        anchored = [replace(zone, ds=self.ds(zone.name) if zone.signed else "") for zone in zones]
        top = Zone(TOP, ds=self.ds(TOP))
        text = render(
            "unbound.conf",
            resolver=RESOLVER,
            resolver6=ipv6_of(RESOLVER),
            nameserver=NAMESERVER,
            registries=registries,
            stand_ins=stand_ins,
            zones=[top, *(zone for zone in anchored if not zone.name.endswith(f".{TOP}"))],
        )
        path = "etc/unbound/unbound.conf.d/lab.conf"
        file = self.host.root / path
        if file.exists() and file.read_text() == text and self.resolver_runs:
            return
        self.host.write(path, text)
        self.host.run("systemctl", "restart", "unbound")

    @property
    def resolver_runs(self) -> bool:
        return self.host.attempt("systemctl", "is-active", "--quiet", "unbound").returncode == 0

    def allow(self, key: TsigKey) -> None:
        """Let the holder of a key update the zones that name it."""
        path = f"etc/knot/keys/{key.name}.conf"
        text = render("knot-key.conf", key=key)
        file = self.host.root / path
        if not file.exists() or file.read_text() != text:
            self.host.write(path, text)
            self.host.run("chown", "root:knot", f"/{path}")
            self.host.run("chmod", "640", f"/{path}")
            self.host.run("knotc", "reload")

    def ensure_zones(self, zones: Sequence[Zone]) -> list[str]:
        """Serve zones that are not served yet, delegated where the parent is ours. Returns the new ones' names."""
        new = [zone for zone in zones if not (self.host.root / f"etc/knot/zones/{zone.name}.conf").exists()]
        if not new:
            return []
        for zone in new:
            self._write_zone(zone)
        self.host.run("chown", "-R", "knot:knot", "/var/lib/knot/zones")
        self.host.run("knotc", "reload")
        for zone in new:
            if zone.name.endswith(f".{TOP}"):
                records = [("NS", "ns.test.")]
                if zone.signed:
                    records.append(("DS", self.ds(zone.name).partition(" DS ")[2]))
                self.change(TOP, [("zone-set", f"{zone.name}.", "5", *record) for record in records])
        return [zone.name for zone in new]

    def ds(self, zone: str) -> str:
        """A zone's DS record (SHA-256), `name. DS …`, as soon as the zone is signed."""
        deadline = time.monotonic() + SIGNING_S
        while time.monotonic() < deadline:
            told = self.host.attempt("runuser", "-u", "knot", "--", "keymgr", f"{zone}.", "ds")
            for line in told.stdout.splitlines():
                # RFC 4509: digest type 2 is SHA-256.
                if len(words := line.split()) > 5 and words[4] == "2":
                    return line.strip()
            time.sleep(0.05)
        raise WorldError(
            f"the lab's name server did not sign {zone}.; see `journalctl -u knot` on host {NAME}"
        )

    def set_record(self, owner: str, rdtype: str, rdata: str, *, zone: str, ttl_s: int = 5) -> None:
        """Put one record set in place of what stands at a name, past every key: as the provider could, or a fault."""
        self.change(
            zone, [("zone-unset", f"{owner}.", rdtype), ("zone-set", f"{owner}.", str(ttl_s), rdtype, rdata)]
        )

    def ensure_reverse(self, hosts: Sequence[tuple[str, Address]], ttl_s: int = 5) -> None:
        """Give addresses that have no reverse name theirs, as their provider would on request."""
        for name, address in hosts:
            zone, owner = reverse_zone(address), address.reverse_pointer
            there = self.host.attempt("knotc", "zone-read", f"{zone}.", f"{owner}.", "PTR")
            if " PTR " not in there.stdout:
                self.change(zone, [("zone-set", f"{owner}.", str(ttl_s), "PTR", f"{name}.")])

    def remove_record(self, owner: str, rdtype: str, *, zone: str) -> None:
        self.change(zone, [("zone-unset", f"{owner}.", rdtype)])

    def change(self, zone: str, steps: Sequence[tuple[str, ...]]) -> None:
        """Carry out knotc's zone-set and zone-unset in one transaction; unsetting what is not there is no error."""
        # Knot loads a new zone in the background, and would take a change to an empty one.
        self.host.wait(lambda: self._is_loaded(zone), f"knot does not load {zone}.")
        lines = [f"knotc zone-begin {zone}. >&2", f"trap 'knotc zone-abort {zone}. >&2' EXIT"]
        for verb, *words in steps:
            line = shlex.join(["knotc", verb, f"{zone}.", *words])
            lines.append(f"{line} >&2 || true" if verb == "zone-unset" else f"{line} >&2")
        lines += [f"knotc zone-commit {zone}. >&2", "trap - EXIT"]
        self.host.run("sh", "-ec", "\n".join(lines))

    def _is_loaded(self, zone: str) -> bool:
        return " SOA " in self.host.attempt("knotc", "zone-read", f"{zone}.", "@", "SOA").stdout

    def _write_zone(self, zone: Zone) -> None:
        self.host.write(f"var/lib/knot/zones/{zone.name}.zone", render("zone", zone=zone))
        self.host.write(f"etc/knot/zones/{zone.name}.conf", render("knot-zone.conf", zone=zone))


def _top_records() -> tuple[str, ...]:
    return (
        f"ns A {NAMESERVER}",
        f"ns AAAA {ipv6_of(NAMESERVER)}",
        f"acme A {AUTHORITY}",
        f"acme AAAA {ipv6_of(AUTHORITY)}",
    )
