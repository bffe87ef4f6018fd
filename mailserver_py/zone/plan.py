"""The difference between wanted and live records of one zone, as a value: it prints, serialises, refuses itself.

Compared as record sets (RFC 2181 §5), never as text. Live records at names that the wish does not mention are
not even looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import dns.name
import dns.rdata
import dns.rdataset
import dns.rdatatype
import dns.update
from dns.rdatatype import CNAME, RdataType

from .published import Key, Published
from .records import WantedRecord
from .text import rdata_lines

Live = Mapping[Key, dns.rdataset.Rdataset]
"""What a zone's server says now, by owner and type; a missing key is a missing record set."""

FREE_DELETIONS_COUNT = 4
"""So many deletions in one run are every day's work: a retired pair of keys, a closed listener."""

SUSPICIOUS_SHARE = 0.3
"""More than this share of ours going away looks like a wrong spec; octoDNS stops at the same 30 %."""


@dataclass(frozen=True, slots=True)
class Change:
    """One record set: what is there now, and what is to be."""

    owner: dns.name.Name
    rdtype: RdataType
    before: dns.rdataset.Rdataset | None
    after: dns.rdataset.Rdataset | None
    reason: str
    is_drop: bool = False

    @property
    def sign(self) -> str:
        """`+` new, `~` changed, `-` deleted."""
        return "+" if self.before is None else "-" if self.after is None else "~"


@dataclass(frozen=True, slots=True)
class Plan:
    """All changes of one zone."""

    zone: dns.name.Name
    changes: tuple[Change, ...]
    ours: Live
    """Our part of the wanted sets, changed or not: what the memory keeps after publishing."""
    gone: tuple[Key, ...] = ()
    """What the memory drops: deleted now, or found gone or taken over by somebody else."""
    known_count: int = 0
    """Record sets of ours in the zone before."""
    conflicts: tuple[dns.name.Name, ...] = ()
    """Wanted owners that are aliases now: nothing can stand beside a CNAME (RFC 2181 §10.1), and a server
    ignores such an addition in silence (RFC 2136 §3.4.2.2)."""

    @property
    def deletions_count(self) -> int:
        """Record sets that lose data without a replacement of ours."""
        return sum(1 for change in self.changes if change.is_drop)

    @property
    def is_suspicious(self) -> bool:
        """Whether so much is deleted that it looks like a mistake."""
        count = self.deletions_count
        return count > FREE_DELETIONS_COUNT and count > SUSPICIOUS_SHARE * self.known_count

    def render(self) -> str:
        """One block per change, signs in the first column."""
        lines = []
        for change in self.changes:
            kind = dns.rdatatype.to_text(change.rdtype)
            owner = change.owner.to_text(omit_final_dot=True)
            lines.append(f"{change.sign} {owner} {kind}  ({change.reason})")
            if change.before is not None:
                lines += [f"    - {line}" for line in rdata_lines(change.before)]
            if change.after is not None:
                lines += [f"    + {line}" for line in rdata_lines(change.after)]
        return "\n".join(lines)

    def values(self) -> dict[str, object]:
        """For JSON."""
        return {
            "zone": self.zone.to_text(omit_final_dot=True),
            "suspicious": self.is_suspicious,
            "changes": [
                {
                    "sign": change.sign,
                    "name": change.owner.to_text(omit_final_dot=True),
                    "type": dns.rdatatype.to_text(change.rdtype),
                    "before": rdata_lines(change.before) if change.before is not None else [],
                    "after": rdata_lines(change.after) if change.after is not None else [],
                    "reason": change.reason,
                }
                for change in self.changes
            ],
        }


DROPPED = "no longer wanted; published by us before"


def plan_zone(zone: dns.name.Name, wanted: Sequence[WantedRecord], live: Live, published: Published) -> Plan:
    """What has to change in one zone; `wanted` and `published` are those of this zone alone.

    `live` answers for every wanted and published owner and type, and for a CNAME at each wanted owner.
    """
    changes: list[Change] = []
    conflicts: list[dns.name.Name] = []
    for record in wanted:
        key = (record.owner, record.rdataset.rdtype)
        before = live.get(key)
        after = _merged(record, before)
        if not same(before, after):
            changes.append(Change(*key, before, after, record.reason))
        if (record.owner, CNAME) in live and record.owner not in conflicts:
            conflicts.append(record.owner)
    ours = {(record.owner, record.rdataset.rdtype): record.rdataset for record in wanted}
    gone = tuple(key for key in published.sets if key not in ours)
    for key in gone:
        change = _drop(key, live.get(key), published.sets[key])
        if change is not None:
            changes.append(change)
    return Plan(zone, tuple(changes), ours, gone, len(published.sets), tuple(conflicts))


def same(one: dns.rdataset.Rdataset | None, other: dns.rdataset.Rdataset | None) -> bool:
    """Whether two record sets hold the same data for the same time; DNS knows no order in a set."""
    if one is None or other is None:
        return one is other
    return one.ttl == other.ttl and set(one) == set(other)


def _merged(record: WantedRecord, before: dns.rdataset.Rdataset | None) -> dns.rdataset.Rdataset:
    """What is to be there: ours, and in a shared set everybody else's as it is."""
    if not record.mine or before is None:
        return record.rdataset
    others = [rdata for rdata in before if not _starts_with(rdata, record.mine)]
    return _rdataset(record.rdataset.ttl, [*record.rdataset, *others])


def _starts_with(rdata: dns.rdata.Rdata, prefix: bytes) -> bool:
    """Whether a TXT record is of a kind: the prefix as a word, in any case (RFC 7208 §4.5 for SPF)."""
    text = b"".join(getattr(rdata, "strings", ())).lower()
    return text == prefix or text.startswith(prefix + b" ")


def _drop(key: Key, before: dns.rdataset.Rdataset | None, ours: dns.rdataset.Rdataset) -> Change | None:
    """Deletes what we published and no longer want; data that others put there stays."""
    if before is None:
        return None
    rest = [rdata for rdata in before if rdata not in ours]
    if len(rest) == len(before):
        return None
    after = _rdataset(before.ttl, rest) if rest else None
    return Change(*key, before, after, DROPPED, is_drop=True)


def _rdataset(ttl: int, rdatas: Iterable[dns.rdata.Rdata]) -> dns.rdataset.Rdataset:
    return dns.rdataset.from_rdata_list(ttl, list(rdatas))


def update_message(plan: Plan) -> dns.update.UpdateMessage:
    """One RFC 2136 update for the whole plan, unsigned; applied as a whole or not at all (RFC 2136 §3.7).

    Its prerequisites say that every changed record set is still as it was read: who changed one in between makes
    the server refuse (NXRRSET, YXRRSET), and we read again.
    """
    message = dns.update.UpdateMessage(plan.zone)
    for change in plan.changes:
        if change.before is None:
            message.absent(change.owner, change.rdtype)
        else:
            # A prerequisite with a TTL other than 0 is a format error (RFC 2136 §2.4.2).
            message.present(change.owner, dns.rdataset.from_rdata_list(0, list(change.before)))
    for change in plan.changes:
        if change.after is None:
            message.delete(change.owner, change.rdtype)
        else:
            message.replace(change.owner, change.after)
    return message
