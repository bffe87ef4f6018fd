"""Names to records: a stub resolver over dnspython, and the values that every asker sees.

We do not validate DNSSEC in-process (promises S25: bombs like KeyTrap, CVE-2023-50387, would burn our CPU);
the AD bit counts only when it comes from a resolver on this very machine, over loopback.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.name
import dns.rdata
import dns.rdatatype
import dns.resolver
from dns.rdata import Rdata

LIFETIME_S = 5.0
"""For one lookup with all its retries: a resolver that needs longer has no answer for us now (promises
S25).
"""

LOOKUPS_AT_ONCE_COUNT = 100
"""Lookups in flight per process; the next ones wait their turn, so no flood of mail becomes one of
queries.
"""

CACHE_COUNT = 5_000
"""Answers kept, for their time to live: several lookups for one letter often ask the same."""

EDNS_PAYLOAD_BYTES = 1_232
"""Fits every path without fragments (DNS flag day 2020)."""


class Status(Enum):
    """How a lookup ended."""

    OK = "ok"
    NXDOMAIN = "no such name"
    NODATA = "no such record"
    SERVFAIL = "server failure"
    TIMEOUT = "no answer"

    @property
    def temporary(self) -> bool:
        """Whether asking later may help (RFC 5321 §5.1)."""
        return self in (Status.SERVFAIL, Status.TIMEOUT)


@dataclass(frozen=True, slots=True)
class Answer:
    """Records of one name and type, CNAMEs followed."""

    status: Status
    records: tuple[Rdata, ...] = ()
    """Empty unless the status is OK."""
    authenticated: bool = False
    """The resolver on this machine validated the answer by DNSSEC."""


class Resolver(Protocol):
    """Asks the DNS. Never raises for what the network or the DNS does: that is the status."""

    async def lookup(self, name: str, rdtype: str) -> Answer:
        """Records of `name` (A-labels, with or without the final dot) of type `MX`, `TXT`, `AAAA` …"""


class StubResolver:
    """Asks the resolvers that the host's settings name, or the system's."""

    def __init__(self, server: str = "") -> None:
        """`server`: an address, or address:port (IPv6 in brackets); empty: /etc/resolv.conf."""
        self._resolver = dns.asyncresolver.Resolver(configure=not server)
        if server:
            address, port = parse_server(server)
            self._resolver.port = port  # before the server, which takes it over
            self._resolver.nameservers = [address]
        self._resolver.lifetime = LIFETIME_S
        self._resolver.timeout = LIFETIME_S / 2
        self._resolver.use_edns(0, 0, EDNS_PAYLOAD_BYTES)
        # AD in a query asks for AD in the answer, without asking for signatures (RFC 6840 §5.7).
        self._resolver.flags = dns.flags.RD | dns.flags.AD
        self._resolver.cache = dns.resolver.LRUCache(CACHE_COUNT)
        self._trusted = all(_is_loopback(str(server)) for server in self._resolver.nameservers)
        self._turns = asyncio.Semaphore(LOOKUPS_AT_ONCE_COUNT)

    async def lookup(self, name: str, rdtype: str) -> Answer:
        """See `Resolver.lookup`."""
        try:
            owner = dns.name.from_text(name)
        except (dns.exception.DNSException, ValueError):
            return Answer(Status.NXDOMAIN)  # no such name can exist: a label too long, an empty one
        async with self._turns:
            try:
                answer = await self._resolver.resolve(owner, rdtype, search=False)
            except dns.resolver.NXDOMAIN:
                return Answer(Status.NXDOMAIN)
            except dns.resolver.NoAnswer as error:
                # A CNAME whose target's server failed looks the same; dnspython tells by the rcode only.
                return Answer(Status.NODATA, authenticated=self._vouched(error))
            except dns.exception.Timeout:
                return Answer(Status.TIMEOUT)
            except (dns.exception.DNSException, OSError, ValueError):
                return Answer(Status.SERVFAIL)  # refused, lame, a loop of CNAMEs, garbage
        records = tuple(answer.rrset or ())
        authenticated = self._trusted and bool(answer.response.flags & dns.flags.AD)
        return Answer(Status.OK if records else Status.NODATA, records, authenticated)

    def _vouched(self, error: dns.resolver.NoAnswer) -> bool:
        response = error.kwargs.get("response")
        return self._trusted and response is not None and bool(response.flags & dns.flags.AD)


class TableResolver:
    """Answers from a table, for tests and for `mailserver try`: what is not in it does not exist."""

    def __init__(self, table: Mapping[tuple[str, str], Answer | tuple[str, ...]]) -> None:
        """Keys are (name, type), names in lower case without a final dot; texts are parsed as record data."""
        self._table = {
            key: value if isinstance(value, Answer) else _answer_of(key[1], value)
            for key, value in table.items()
        }
        self._names = {name for name, _ in self._table}

    async def lookup(self, name: str, rdtype: str) -> Answer:
        """See `Resolver.lookup`."""
        name = name.lower().rstrip(".")
        missing = Answer(Status.NODATA if name in self._names else Status.NXDOMAIN)
        return self._table.get((name, rdtype), missing)


def _answer_of(rdtype: str, texts: tuple[str, ...]) -> Answer:
    kind = dns.rdatatype.from_text(rdtype)
    records = tuple(dns.rdata.from_text("IN", kind, text) for text in texts)
    return Answer(Status.OK if records else Status.NODATA, records)


def parse_server(text: str) -> tuple[str, int]:
    """`192.0.2.53`, `192.0.2.53:5353`, `2001:db8::53`, `[2001:db8::53]:5353` → (address, port). Raises
    ValueError.
    """
    host, port = text, "53"
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    return str(ipaddress.ip_address(host)), int(port)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
