"""A `Resolver` that asks the servers which own a zone, past every cache: the truth at its source.

No answer is validated here; who compares with a validating resolver sees both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import dns.exception
import dns.name
import dns.rdatatype

from ..errors import WorldError
from .nameserver import Authority, find_authorities
from .resolver import Answer, Resolver, Status

SERVERS_COUNT = 4
"""How many servers of a zone are tried before the answer is "no answer"."""


class AuthoritativeResolver:
    """See `Resolver`; aliases are not followed. Remembers each name's servers for its own life, which is one run."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._found: dict[dns.name.Name, asyncio.Task[Sequence[Authority]]] = {}

    async def lookup(self, name: str, rdtype: str) -> Answer:
        """See `Resolver.lookup`; a name that does not exist and one without this type are both NODATA."""
        try:
            owner = dns.name.from_text(name)
        except (dns.exception.DNSException, ValueError):
            return Answer(Status.NXDOMAIN)
        kind = dns.rdatatype.from_text(rdtype)
        if owner not in self._found:
            self._found[owner] = asyncio.ensure_future(self._servers(owner))
        for server in (await self._found[owner])[:SERVERS_COUNT]:
            try:
                found = await server.lookup(owner, kind)
            except WorldError:
                continue
            return Answer(Status.OK, tuple(found)) if found else Answer(Status.NODATA)
        return Answer(Status.TIMEOUT)

    async def _servers(self, owner: dns.name.Name) -> Sequence[Authority]:
        try:
            found = await find_authorities(self._resolver, owner)
        except WorldError:
            return ()
        return found[1] if found is not None else ()
