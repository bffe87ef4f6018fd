"""Rules about hosts: reachable from where they say they are, and each an address of its own."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_network

from ..model import Host, MailSpec
from .shape import Finding

DOCUMENTATION_NETWORKS = tuple(
    ip_network(text)
    for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")
)
"""RFC 5737, RFC 3849, RFC 9637."""

DOCUMENTATION_NAMES = ("example", "example.org", "example.com", "example.net")
"""RFC 2606 §2 and §3: a spec for these is itself an example, and may have addresses for examples."""

LOCAL_NAMES = ("test", "invalid", "localhost", "local", "internal", "onion", "home.arpa")
"""Names that never resolve in public: RFC 6761, RFC 6762, RFC 8375, and ICANN's reservation of `internal`."""


def hosts_have_addresses(spec: MailSpec) -> Iterator[Finding]:
    """Without one there is nothing to publish and nowhere to go."""
    for name, host in spec.hosts.items():
        if host.ipv4 is None and host.ipv6 is None:
            yield Finding(("hosts", name), f"{name} has no address", "add `ipv4:` or `ipv6:`")


def public_addresses_are_public(spec: MailSpec) -> Iterator[Finding]:
    """A private address in public DNS is a mail host that nobody reaches."""
    for name, host in spec.hosts.items():
        for field, address in (("ipv4", host.ipv4), ("ipv6", host.ipv6)):
            kind = _kind(address) if address is not None and host.network == "public" else ""
            if kind and not (kind == "a documentation" and _is_under(name, DOCUMENTATION_NAMES)):
                text = f"{address} is {kind} address; nobody outside reaches {name} there"
                cure = "write its public address; or, for a lab or an intranet, `network: private` beside it"
                yield Finding(("hosts", name, field), text, cure)


def public_names_are_public(spec: MailSpec) -> Iterator[Finding]:
    """A name that no public DNS can hold needs a network that is not public."""
    is_public = any(host.network == "public" for host in spec.hosts.values())
    for name, host in spec.hosts.items():
        if host.network == "public" and _is_under(name, LOCAL_NAMES):
            yield _local_name(("hosts", name), name)
    for name in spec.domains:
        if is_public and _is_under(name, LOCAL_NAMES):
            yield _local_name(("domains", name), name)


def addresses_belong_to_one_host(spec: MailSpec) -> Iterator[Finding]:
    """Two hosts behind one address is a copied line."""
    first: dict[IPv4Address | IPv6Address, str] = {}
    for name, host in spec.hosts.items():
        for field, address in (("ipv4", host.ipv4), ("ipv6", host.ipv6)):
            if address is not None and first.setdefault(address, name) != name:
                yield Finding(
                    ("hosts", name, field),
                    f"{address} is the address of {first[address]} already",
                    "give each host its own",
                )


def somebody_takes_mail(spec: MailSpec) -> Iterator[Finding]:
    """At least one host has the role `mail`."""
    if not any("mail" in host.roles for host in spec.hosts.values()):
        name = next(iter(spec.hosts))
        yield Finding(
            ("hosts", name, "roles"), "no host has the role `mail`", "remove `roles:`; `mail` is the default"
        )


def the_server_is_not_root(spec: MailSpec) -> Iterator[Finding]:
    """The user that the server runs as owns the mail and nothing else."""
    for name, host in spec.hosts.items():
        if host.os_user in ("root", "nobody"):
            text = f"the server on {name} would run as {host.os_user}"
            yield Finding(("hosts", name, "os_user"), text, "name a user of its own, or remove `os_user:`")


def _kind(address: IPv4Address | IPv6Address) -> str:
    """What makes an address unreachable from outside, with its article; empty when nothing does."""
    if any(address in network for network in DOCUMENTATION_NETWORKS if network.version == address.version):
        return "a documentation"
    for kind, applies in (
        ("a loopback", address.is_loopback),
        ("an unspecified", address.is_unspecified),
        ("a link-local", address.is_link_local),
        ("a multicast", address.is_multicast),
        ("a private", not address.is_global),
    ):
        if applies:
            return kind
    return ""


def _is_under(name: str, suffixes: tuple[str, ...]) -> bool:
    return any(name == suffix or name.endswith(f".{suffix}") for suffix in suffixes)


def _local_name(loc: tuple[str, str], name: str) -> Finding:
    text = f"{name} can never be a public name"
    return Finding(
        loc, text, "use a domain of yours; or, for a lab or an intranet, `network: private` at the host"
    )


def ssh_address(host: Host) -> str:
    """Where SSH answers."""
    return host.ssh.address or str(host.ipv4 or host.ipv6 or "")


RULES = (
    hosts_have_addresses,
    public_addresses_are_public,
    public_names_are_public,
    addresses_belong_to_one_host,
    somebody_takes_mail,
    the_server_is_not_root,
)
