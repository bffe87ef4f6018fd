"""The records: live against wanted, asked of the servers that own the zone and of a resolver, as everybody else does.

The two can differ for as long as an old record may be cached; what the owners say is what `publish` can mend.
"""

from __future__ import annotations

import asyncio

import dns.rdatatype

from mailserver_py.net.resolver import Answer
from mailserver_py.verify.shape import Check, Outcome
from mailserver_py.verify.world import World
from mailserver_py.zone import WantedRecord

PUBLISH = "mailserver publish SITE, or copy the record from mailserver zone SITE to wherever the zone is kept"


async def run(world: World) -> Outcome:
    """Compares every record set that the wish implies; PTR has a check of its own."""
    outcome = Outcome()
    wanted = [record for record in world.records if record.publish]
    await asyncio.gather(*(_look_at(world, outcome, record) for record in wanted))
    if not outcome.findings:
        outcome.notes.append(f"{len(wanted)} record sets, at the zone's own servers and at the resolver")
    return outcome


async def _look_at(world: World, outcome: Outcome, record: WantedRecord) -> None:
    owner, rdtype = record.owner.to_text(), dns.rdatatype.to_text(record.rdataset.rdtype)
    subject = f"{owner.rstrip('.')} {rdtype}"
    wanted = ", ".join(sorted(rdata.to_text() for rdata in record.rdataset))
    source, cached = await asyncio.gather(
        world.authority.lookup(owner, rdtype), world.resolver.lookup(owner, rdtype)
    )
    if source.status.temporary:
        outcome.cannot_tell(
            f"{record.kind}.unknown",
            subject,
            seen=f"the zone's servers: {source.status.value}",
            fix="are the domain's NS records right, and do its servers answer from here?",
        )
    elif not _ours(record, source):
        outcome.find(f"{record.kind}.missing", subject, seen=source.status.value, wanted=wanted, fix=PUBLISH)
    elif not _same(record, source):
        outcome.find(
            f"{record.kind}.differs", subject, seen=_text(record, source), wanted=wanted, fix=PUBLISH
        )
    elif cached.status.temporary:
        outcome.cannot_tell(
            f"{record.kind}.unresolved",
            subject,
            seen=f"the resolver: {cached.status.value}",
            fix="right at the source: is the resolver well, and is the zone's DNSSEC chain whole?",
        )
    elif not _same(record, cached):
        outcome.find(
            f"{record.kind}.stale",
            subject,
            seen=_text(record, cached) or cached.status.value,
            wanted=wanted,
            fix="right at the source: wait until the old answer's time to live is over",
        )


def _ours(record: WantedRecord, answer: Answer) -> list[object]:
    """The records of an answer that are ours to judge: of a shared set (TXT at a domain) those that start as ours."""
    return [
        rdata
        for rdata in answer.records
        if not record.mine or b"".join(getattr(rdata, "strings", ())).startswith(record.mine)
    ]


def _same(record: WantedRecord, answer: Answer) -> bool:
    return set(_ours(record, answer)) == set(record.rdataset)


def _text(record: WantedRecord, answer: Answer) -> str:
    return ", ".join(sorted(str(rdata) for rdata in _ours(record, answer)))


CHECK = Check("records", "DNS records, at their source and at a resolver", run)
