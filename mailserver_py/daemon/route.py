"""Where a letter for a domain goes: MX routing, RFC 5321 §5.1, null MX RFC 7505.

Pure: answers in, a route or a verdict out. `daemon.routing` asks the questions.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA

from mailserver_py.net.resolver import Answer, Status

HOSTS_LIMIT_COUNT = 10
"""Exchanges that are considered: a domain with a thousand MX records gets no thousand lookups (promises
R22).
"""

TARGETS_LIMIT_COUNT = 20
"""Addresses that one attempt tries at most."""

Shuffle = Callable[[list[str]], None]
"""Shuffles in place; chance is the caller's."""


@dataclass(frozen=True, slots=True)
class Target:
    """One address to try, and the name it was found under."""

    host: str
    address: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why there is nothing to try; status codes of RFC 3463."""

    permanent: bool
    status: str
    text: str


@dataclass(frozen=True, slots=True)
class Exchanges:
    """The hosts to look up, in order; `implicit` when the domain has no MX and stands for itself."""

    hosts: tuple[str, ...]
    implicit: bool = False


def exchanges_of(domain: str, answer: Answer, shuffle: Shuffle) -> Exchanges | Verdict:
    """The hosts for a domain by its MX answer, by preference, equals shuffled (RFC 5321 §5.1)."""
    if answer.status.temporary:
        return Verdict(False, "4.4.3", f"the DNS does not answer for {domain}: {answer.status.value}")
    if answer.status is Status.NXDOMAIN:
        return Verdict(True, "5.1.2", f"the domain {domain} does not exist")
    records = [record for record in answer.records if isinstance(record, MX)]
    if not records:
        return Exchanges((domain,), implicit=True)
    named = [(record.preference, record.exchange.to_text(omit_final_dot=True)) for record in records]
    if any(name in (".", "") for _, name in named):
        # RFC 7505 §3: a null MX beside others is a mistake; the others count.
        named = [(preference, name) for preference, name in named if name not in (".", "")]
        if not named:
            return Verdict(True, "5.1.10", f"{domain} accepts no mail (null MX)")
    hosts: list[str] = []
    for preference in sorted({preference for preference, _ in named}):
        equals = sorted({name.lower() for value, name in named if value == preference})
        shuffle(equals)
        hosts += [name for name in equals if name not in hosts]
    return Exchanges(tuple(hosts[:HOSTS_LIMIT_COUNT]))


def targets_of(
    domain: str,
    exchanges: Exchanges,
    answers: Mapping[tuple[str, str], Answer],
    own: Ownership,
) -> Sequence[Target] | Verdict:
    """The addresses to try, in order, IPv6 first as RFC 6724 prefers; ourselves and what lies behind us left
    out.

    `answers` by (host, `A` or `AAAA`). An MX that is ourselves ends the list: exchanges at or behind our own
    preference are for us to receive from, not to send to (RFC 5321 §5.1), and to connect to ourselves is a
    loop.
    """
    targets: list[Target] = []
    temporary = looped = False
    for host in exchanges.hosts:
        found = [answers[host, rdtype] for rdtype in ("AAAA", "A") if (host, rdtype) in answers]
        addresses = [
            record.address for answer in found for record in answer.records if isinstance(record, A | AAAA)
        ]
        if own.is_host(host) or any(own.is_address(address) for address in addresses):
            looped = True
            break
        temporary = temporary or any(answer.status.temporary for answer in found)
        targets += [Target(host, address) for address in addresses if own.source(address) is not None]
    if targets:
        return targets[:TARGETS_LIMIT_COUNT]
    if looped:
        return Verdict(
            True, "5.4.6", f"the best mail exchange of {domain} is this host, which does not know the domain"
        )
    if temporary:
        return Verdict(False, "4.4.3", f"the DNS does not answer for the mail exchanges of {domain}")
    if exchanges.implicit:
        return Verdict(True, "5.1.2", f"the domain {domain} has no mail exchange and no address")
    # RFC 5321 §5.1 names no class for it; an MX whose host has no address is a mistake that gets mended.
    return Verdict(False, "4.4.4", f"no mail exchange of {domain} has an address")


@dataclass(frozen=True, slots=True)
class Ownership:
    """What is ourselves, as far as names and addresses tell before anything is dialled.

    What they do not tell (another address of this host, a detour back through a NAT) shows once connected:
    both ends have one address, or the greeting has our name.
    """

    hostname: str
    ipv4: str = ""
    ipv6: str = ""
    """The addresses that the spec gives this host; mail leaves from them (the SPF record names no others)."""
    allow_loopback: bool = False
    """Only in tries and tests, where everybody lives on loopback."""

    def source(self, address: str) -> str | None:
        """Our end towards an address; empty: the system's choice; None: not from this host, by the spec."""
        ours = self.ipv6 if ":" in address else self.ipv4
        return ours if ours or not (self.ipv4 or self.ipv6) else None

    def is_host(self, host: str) -> bool:
        """Whether a host name is ours."""
        return host.lower().rstrip(".") == self.hostname

    def is_address(self, text: str) -> bool:
        """Whether an address can only be this host: loopback, or unspecified (which Linux takes for
        loopback).
        """
        address = ipaddress.ip_address(text)
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if str(address) in (self.ipv4, self.ipv6):
            return True
        return address.is_unspecified or (address.is_loopback and not self.allow_loopback)

    def is_end(self, local: str, peer: str, greeting: str) -> bool:
        """Whether a connection that stands leads to ourselves."""
        same = local == peer and not self.allow_loopback
        return same or self.is_host(greeting.partition(" ")[0])
