"""Asks the servers that own a zone, past every cache: the truth at its source, before resolvers have heard of it.

The zone is found from the name upwards (NS records by the resolver), its servers' addresses too. No answer is validated
here; who compares with a validating resolver sees both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
from dns.rdtypes.ANY.NS import NS

from .resolver import Answer, Resolver, Status

QUERY_S = 4.0
"""For one server; a zone has two or more, asked one after the other."""

SERVERS_COUNT = 4
"""How many servers of a zone are tried before the answer is "no answer"."""


class AuthorityResolver:
    """`Resolver` that asks authoritative servers. Remembers zones for its own life, which is one run."""

    def __init__(self, resolver: Resolver, *, port: int = 53) -> None:
        self._resolver = resolver
        self._port = port
        self._zones: dict[dns.name.Name, asyncio.Task[Sequence[str]]] = {}

    async def lookup(self, name: str, rdtype: str) -> Answer:
        """See `Resolver.lookup`; CNAMEs are not followed across zones."""
        owner = dns.name.from_text(name)
        answer = Answer(Status.SERVFAIL)
        for address in (await self._servers(owner))[:SERVERS_COUNT]:
            answer = await self._ask(address, owner, dns.rdatatype.from_text(rdtype))
            if not answer.status.temporary:
                return answer
        return answer

    async def _servers(self, owner: dns.name.Name) -> Sequence[str]:
        """Addresses of the servers of the closest enclosing zone; empty when none can be found."""
        for depth in range(len(owner.labels), 1, -1):
            zone = dns.name.Name(owner.labels[-depth:])
            if zone not in self._zones:
                self._zones[zone] = asyncio.ensure_future(self._addresses(zone))
            if addresses := await self._zones[zone]:
                return addresses
        return ()

    async def _addresses(self, zone: dns.name.Name) -> Sequence[str]:
        found = await self._resolver.lookup(zone.to_text(), "NS")
        out: list[str] = []
        for record in found.records:
            if isinstance(record, NS):
                for rdtype in ("A", "AAAA"):
                    hosts = await self._resolver.lookup(record.target.to_text(), rdtype)
                    out += [str(host) for host in hosts.records]
        return out

    async def _ask(self, address: str, owner: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> Answer:
        query = dns.message.make_query(owner, rdtype, use_edns=0)
        query.flags &= ~dns.flags.RD
        try:
            reply, _ = await dns.asyncquery.udp_with_fallback(
                query, address, timeout=QUERY_S, port=self._port
            )
        except dns.exception.Timeout:
            return Answer(Status.TIMEOUT)
        except (dns.exception.DNSException, OSError):
            return Answer(Status.SERVFAIL)
        if reply.rcode() == dns.rcode.NXDOMAIN:
            return Answer(Status.NXDOMAIN)
        if reply.rcode() != dns.rcode.NOERROR or not reply.flags & dns.flags.AA:
            return Answer(Status.SERVFAIL)  # lame, or refuses us
        records = tuple(record for rrset in reply.answer if rrset.rdtype == rdtype for record in rrset)
        return Answer(Status.OK if records else Status.NODATA, records)
