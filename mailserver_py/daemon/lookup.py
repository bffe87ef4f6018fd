"""The resolver, as the evaluators of `senderauth` ask it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

import dns.reversename
from dns.rdata import Rdata
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.PTR import PTR
from dns.rdtypes.ANY.TXT import TXT
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA

from mailserver_py.net.resolver import Answer, Resolver
from mailserver_py.net.resolver import Status as AnswerStatus
from mailserver_py.senderauth.lookup import Found, Status, T

R = TypeVar("R", bound=Rdata)


class ResolverLookup:
    """`senderauth.lookup.Lookup` over `net.resolver.Resolver`."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def txt(self, name: str) -> Found[bytes]:
        """See `Lookup.txt`."""
        return _found(await self._resolver.lookup(name, "TXT"), TXT, lambda rdata: b"".join(rdata.strings))

    async def addresses(self, name: str, version: Literal[4, 6]) -> Found[str]:
        """See `Lookup.addresses`."""
        if version == 4:
            return _found(await self._resolver.lookup(name, "A"), A, lambda rdata: str(rdata.address))
        return _found(await self._resolver.lookup(name, "AAAA"), AAAA, lambda rdata: str(rdata.address))

    async def mx(self, name: str) -> Found[str]:
        """See `Lookup.mx`."""
        found = _found(
            await self._resolver.lookup(name, "MX"),
            MX,
            lambda rdata: (int(rdata.preference), rdata.exchange.to_text(omit_final_dot=True)),
        )
        return Found(found.status, tuple(name for _, name in sorted(found.values)))

    async def ptr(self, address: str) -> Found[str]:
        """See `Lookup.ptr`."""
        answer = await self._resolver.lookup(dns.reversename.from_address(address).to_text(), "PTR")
        return _found(answer, PTR, lambda rdata: rdata.target.to_text(omit_final_dot=True))


def _found(answer: Answer, kind: type[R], value_of: Callable[[R], T]) -> Found[T]:
    if answer.status.temporary:
        return Found(Status.FAILED)
    if answer.status is not AnswerStatus.OK:
        return Found(Status.ABSENT)
    return Found(Status.OK, tuple(value_of(rdata) for rdata in answer.records if isinstance(rdata, kind)))
