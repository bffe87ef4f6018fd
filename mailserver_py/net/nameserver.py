"""An authoritative nameserver: which zones it has, what they say, and updates to them.

RFC 1034 §4.3 (queries), RFC 5936 (AXFR), RFC 2136 (updates), RFC 8945 (TSIG). dnspython carries the octets; here is
what its errors mean to an operator, and the two loops that ask.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdataset
import dns.rdatatype
import dns.tsig
import dns.update
import dns.xfr
import dns.zone
from dns.rdatatype import RdataType

from ..errors import OperatorError, Reason, WorldError
from .resolver import EDNS_PAYLOAD_BYTES, Resolver, Status, parse_server

TIMEOUT_S = 5.0
"""For one exchange."""

TRANSFER_S = 30.0
"""For a whole AXFR; a zone that takes longer is read record by record."""

QUERIES_AT_ONCE_COUNT = 16
"""Enough to hide a round trip, few enough not to look like a flood."""

PERMISSION = "Knot: an `acl` with the key and `action: update`, named in the zone; BIND: `update-policy`"
"""What lets a key update a zone, in the words of two servers' manuals."""

T = TypeVar("T")
Key = tuple[dns.name.Name, RdataType]
RecordSets = Mapping[Key, dns.rdataset.Rdataset]


class ChangedMeanwhileError(WorldError):
    """A record set of the update is no longer as it was read; read again."""


@dataclass(frozen=True, slots=True)
class Authority:
    """One server, and the TSIG key that its owner gave us, if any."""

    address: str
    port: int = 53
    key: dns.tsig.Key | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        address = f"[{self.address}]" if ":" in self.address else self.address
        return address if self.port == 53 else f"{address}:{self.port}"

    async def zone_of(self, name: dns.name.Name) -> dns.name.Name | None:
        """The zone of this server that encloses the name; None when it is not authoritative for it."""
        response = await self._ask(name, dns.rdatatype.SOA)
        if not response.flags & dns.flags.AA or response.rcode() not in (
            dns.rcode.NOERROR,
            dns.rcode.NXDOMAIN,
        ):
            return None
        for section in (response.answer, response.authority):
            for rrset in section:
                if rrset.rdtype == dns.rdatatype.SOA and name.is_subdomain(rrset.name):
                    return rrset.name
        if any(rrset.rdtype == dns.rdatatype.CNAME and rrset.name == name for rrset in response.answer):
            # An alias is answered with its target, not with the zone it stands in; it never is a zone's own name.
            return await self.zone_of(name.parent())
        return None

    async def zones_of(self, names: Collection[dns.name.Name]) -> dict[dns.name.Name, dns.name.Name | None]:
        """`zone_of` for many, at once."""
        turns = asyncio.Semaphore(QUERIES_AT_ONCE_COUNT)

        async def one(name: dns.name.Name) -> tuple[dns.name.Name, dns.name.Name | None]:
            async with turns:
                return name, await self.zone_of(name)

        return dict(await _all(one(name) for name in dict.fromkeys(names)))

    async def read(self, zone: dns.name.Name, keys: Collection[Key]) -> RecordSets:
        """The zone's record sets at these owners and types: by AXFR where the server permits it."""
        transferred = await self._transfer(zone)
        if transferred is not None:
            found = {key: transferred.get_rdataset(*key) for key in keys}
            return {key: rdataset for key, rdataset in found.items() if rdataset is not None}
        turns = asyncio.Semaphore(QUERIES_AT_ONCE_COUNT)

        async def one(key: Key) -> tuple[Key, dns.rdataset.Rdataset | None]:
            async with turns:
                return key, await self.lookup(*key)

        answers = await _all(one(key) for key in dict.fromkeys(keys))
        return {key: rdataset for key, rdataset in answers if rdataset is not None}

    async def lookup(self, name: dns.name.Name, rdtype: RdataType) -> dns.rdataset.Rdataset | None:
        """One record set as the zone holds it, no alias followed; None when there is none.

        Raises WorldError when the server does not answer with authority.
        """
        response = await self._ask(name, rdtype)
        if response.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN) or not (
            response.flags & dns.flags.AA
        ):
            rcode = dns.rcode.to_text(response.rcode())
            raise WorldError(f"{self} does not answer for {name} with authority ({rcode})")
        rrset = response.get_rrset(response.answer, name, dns.rdataclass.IN, rdtype)
        return None if rrset is None else rrset.to_rdataset()

    async def update(self, message: dns.update.UpdateMessage) -> None:
        """Sends one update and waits for its fate.

        Raises ChangedMeanwhileError when a prerequisite failed, OperatorError when the server will not, WorldError
        when it cannot now.
        """
        if self.key is not None:
            message.use_tsig(self.key)
        response = await self._exchange(message)
        zone = message.zone[0].name
        rcode = response.rcode()
        if rcode == dns.rcode.NOERROR:
            if self.key is not None and not response.had_tsig:
                raise WorldError(f"{self} answered without a signature; its answer proves nothing")
            return
        if rcode in (dns.rcode.NXRRSET, dns.rcode.YXRRSET, dns.rcode.NXDOMAIN, dns.rcode.YXDOMAIN):
            raise ChangedMeanwhileError(f"{zone} changed while we were looking at it")
        raise self._refusal(zone, rcode)

    def _refusal(self, zone: dns.name.Name, rcode: dns.rcode.Rcode) -> Exception:
        word = dns.rcode.to_text(rcode)
        key = f"the key {self.key.name}" if self.key is not None else "this address"
        if rcode in (dns.rcode.REFUSED, dns.rcode.NOTAUTH):
            text = f"{self} refuses updates of {zone} ({word})"
            cure = f"let {key} update the zone: {PERMISSION}"
            return OperatorError(Reason(text, cure))
        if rcode in (dns.rcode.NOTIMP, dns.rcode.NOTZONE, dns.rcode.FORMERR):
            text = f"{self} cannot apply the update of {zone} ({word})"
            return OperatorError(Reason(text, "is it the primary, and does it know RFC 2136? See its log"))
        return WorldError(f"{self} failed to update {zone} ({word}); its log says why")

    async def _ask(self, name: dns.name.Name, rdtype: RdataType) -> dns.message.Message:
        query = dns.message.make_query(name, rdtype, flags=0, use_edns=0, payload=EDNS_PAYLOAD_BYTES)
        # Not signed: a server may refuse a name that is not its own without a signature, which no signed query can
        # tell from a forgery.
        return await self._exchange(query)

    async def _exchange(self, message: dns.message.Message) -> dns.message.Message:
        try:
            if message.opcode() == dns.opcode.UPDATE:
                return await dns.asyncquery.tcp(message, self.address, TIMEOUT_S, self.port)
            response, _ = await dns.asyncquery.udp_with_fallback(
                message, self.address, TIMEOUT_S, self.port, ignore_unexpected=True
            )
        except (
            dns.tsig.PeerError,
            dns.tsig.BadSignature,
            dns.tsig.BadTime,
            dns.message.UnknownTSIGKey,
        ) as error:
            raise self._bad_key(error) from None
        except (dns.exception.Timeout, OSError, EOFError) as error:
            raise self._silent(error) from None
        except dns.exception.FormError as error:
            if message.opcode() == dns.opcode.UPDATE and "TSIG" in str(error):
                text = f"{self} refuses the update without a signature"
                raise OperatorError(Reason(text, "is it the primary of the zone? Its log says why")) from None
            raise WorldError(f"{self} answers what is no DNS message ({error})") from None
        except dns.exception.DNSException as error:
            raise WorldError(f"{self} answers what is no DNS: {type(error).__name__}") from None
        return response

    async def _transfer(self, zone: dns.name.Name) -> dns.zone.Zone | None:
        """The whole zone, or None when the server does not give it to us."""
        found = dns.zone.Zone(zone, relativize=False)
        query, _ = dns.xfr.make_query(found, keyring=self.key)
        try:
            await dns.asyncquery.inbound_xfr(
                self.address, found, query, self.port, timeout=TIMEOUT_S, lifetime=TRANSFER_S
            )
        except dns.tsig.PeerBadKey:
            # Knot says so also when it knows the key but does not let it transfer; the update will tell.
            return None
        except (
            dns.tsig.PeerError,
            dns.tsig.BadSignature,
            dns.tsig.BadTime,
            dns.message.UnknownTSIGKey,
        ) as error:
            raise self._bad_key(error) from None
        except (dns.exception.DNSException, OSError, EOFError):
            return None
        return found

    def _silent(self, error: BaseException) -> WorldError:
        why = "no answer" if isinstance(error, dns.exception.Timeout) else str(error) or type(error).__name__
        return WorldError(
            f"the DNS server {self} cannot be reached ({why}); is its address right, and port open?"
        )

    def _bad_key(self, error: Exception) -> OperatorError:
        """What is wrong with the key, and the next step (RFC 8945 §5.2)."""
        name = self.key.name.to_text(omit_final_dot=True) if self.key is not None else "?"
        if isinstance(error, dns.tsig.PeerBadKey):
            text = f"{self} does not know the TSIG key {name!r}, or does not let it update"
            cure = f"compare `dns.rfc2136.key_name` and `algorithm` with the server's configuration; {PERMISSION}"
        elif isinstance(error, dns.tsig.PeerBadTime | dns.tsig.BadTime):
            text = f"{self} and this machine disagree about the time by more than five minutes"
            cure = "set the clocks; TSIG needs them"
        else:
            text = f"{self} has another secret for the TSIG key {name!r}"
            cure = "put in the server's: `mailserver keys SITE --import tsig FILE` (- for stdin)"
        return OperatorError(Reason(text, cure))


async def _all(waits: Iterable[Awaitable[T]]) -> list[T]:
    """All results, or the first error once all have ended: none is left running, none is lost unseen."""
    results = await asyncio.gather(*waits, return_exceptions=True)
    done: list[T] = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        done.append(result)
    return done


async def find_authorities(
    resolver: Resolver, name: dns.name.Name
) -> tuple[dns.name.Name, tuple[Authority, ...]] | None:
    """The zone that encloses a name, and its servers' addresses, as the public DNS knows them.

    None when no server can be found. Raises WorldError when the resolver fails.
    """
    while name != dns.name.root:
        answer = await resolver.lookup(name.to_text(), "NS")
        if answer.status.temporary:
            raise WorldError(f"the resolver cannot tell who serves {name} ({answer.status.value})")
        if answer.status is Status.OK:
            servers: list[Authority] = []
            for target in sorted(str(getattr(record, "target", ".")) for record in answer.records):
                for rdtype in ("A", "AAAA"):
                    addresses = await resolver.lookup(target, rdtype)
                    servers += [Authority(record.to_text()) for record in addresses.records]
            return (name, tuple(servers)) if servers else None
        name = name.parent()
    return None


def parse_authority(server: str, key: dns.tsig.Key | None) -> Authority:
    """`192.0.2.53:53` and a key. Raises ValueError."""
    address, port = parse_server(server)
    return Authority(address, port, key)
