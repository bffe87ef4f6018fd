"""A site's spec in the lab's terms: which hosts to boot, which zones to serve, whom to stand in for.

Any spec will do. Its public addresses are given to the lab's hosts as they are, since nothing leaves the lab; its name
server's address goes to the lab's; its certificate authority's name leads to pebble.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from mailserver_py.errors import OperatorError, Reason
from mailserver_py.spec.model import Host as HostSpec
from mailserver_py.spec.model import MailSpec

from . import stranger
from .authority import DIRECTORY
from .host import HostPlan
from .images import Image
from .names import AUTHORITY, FIRST_HOST, LAST_HOST, NETWORK4, NETWORK6
from .nameserver import TOP, Zone, reverse_zone

Address = IPv4Address | IPv6Address
OWN = (stranger.DOMAIN, f"acme.{TOP}", f"ns.{TOP}")
"""Names of the lab's own servers."""


def derive_hosts(spec: MailSpec, image: Image) -> tuple[HostPlan, ...]:
    """One lab host for each host of the spec, at the spec's own addresses."""
    wanted = {name: tuple(dict.fromkeys(_addresses(host))) for name, host in spec.hosts.items()}
    # First those that stand in the lab's own network anyway: nobody else may get their address.
    given: dict[str, IPv4Address] = {}
    for name, addresses in wanted.items():
        for address in addresses:
            if isinstance(address, IPv4Address) and FIRST_HOST <= address <= LAST_HOST:
                given.setdefault(name, address)
    for name in wanted:
        if name not in given:
            given[name] = free_address(set(given.values()))
    return tuple(
        HostPlan(name, given[name], image, tuple(a for a in addresses if a != given[name]))
        for name, addresses in wanted.items()
    )


def free_address(used: set[IPv4Address]) -> IPv4Address:
    """The first host address of the lab that nobody has."""
    for number in range(int(FIRST_HOST), int(LAST_HOST) + 1):
        if (address := IPv4Address(number)) not in used:
            return address
    raise OperatorError(f"a lab has room for {int(LAST_HOST) - int(FIRST_HOST) + 1} hosts, and it is full")


def derive_zones(spec: MailSpec) -> tuple[Zone, ...]:
    """The zones that the site would have at its DNS provider, empty; and its reverse zones, with the PTR records.

    A host outside every mail domain gets a zone too: the one that its name stands in.
    """
    names = dict.fromkeys([*spec.domains, *(host.partition(".")[2] or host for host in spec.hosts)])
    zones = [
        name for name in names if not any(name != other and name.endswith(f".{other}") for other in names)
    ]
    if taken := [
        zone for zone in zones if any(Zone(zone).holds(name) or Zone(name).holds(zone) for name in OWN)
    ]:
        raise OperatorError(
            *(Reason(f"{zone} belongs to the lab itself; a rehearsed site cannot have it") for zone in taken)
        )
    key = spec.dns.rfc2136.key_name.rstrip(".") if spec.dns.rfc2136 else ""
    return tuple(Zone(name, key_name=key) for name in zones)


def derive_reverse(hosts: Sequence[tuple[str, Address]], key: str = "") -> tuple[Zone, ...]:
    """The provider's reverse zones for the addresses of hosts; unsigned, as many are."""
    names = dict.fromkeys(reverse_zone(address) for _, address in hosts)
    return tuple(Zone(name, key_name=key, signed=False) for name in names)


def public_addresses(spec: MailSpec) -> tuple[tuple[str, Address], ...]:
    """Each host's name with each of its public addresses."""
    return tuple(
        (name, address)
        for name, host in spec.hosts.items()
        for address in (host.ipv4, host.ipv6)
        if address is not None
    )


def nameserver_addresses(spec: MailSpec) -> tuple[Address, ...]:
    """Where the site expects its DNS server, as far as the lab does not have it there anyway."""
    if spec.dns.rfc2136 is None:
        return ()
    server = spec.dns.rfc2136.server
    for text in (server, server.rpartition(":")[0], server.rpartition(":")[0].strip("[]")):
        with suppress(ValueError):
            address = ip_address(text)
            return () if address in NETWORK4 or address in NETWORK6 else (address,)
    return ()


def stand_ins(spec: MailSpec) -> tuple[tuple[str, IPv4Address], ...]:
    """Names of the world that the lab answers for: the site's certificate authority."""
    name = urlsplit(spec.tls.acme.directory).hostname or ""
    own = urlsplit(DIRECTORY).hostname
    return () if spec.tls.source != "acme" or name in ("", own) else ((name, AUTHORITY),)


def _addresses(host: HostSpec) -> Iterator[Address]:
    if host.ipv4 is not None:
        yield host.ipv4
    if host.ipv6 is not None:
        yield host.ipv6
    if host.ssh.address is not None:
        with suppress(ValueError):
            yield ip_address(host.ssh.address)
