"""The wanted records as text: zone file (RFC 1035 §5.1), rows of a table, JSON values."""

from __future__ import annotations

from collections.abc import Sequence

import dns.rdataset
import dns.rdatatype

from .records import WantedRecord


def render_zonefile(records: Sequence[WantedRecord]) -> str:
    """A zone file with absolute names; what others must publish stands in comments."""
    lines: list[str] = []
    reason = ""
    for record in records:
        if record.reason != reason:
            reason = record.reason
            lines += ["", f"; {reason}"]
        mark = "" if record.publish else "; "
        lines += [f"{mark}{record.owner} {line}" for line in rdata_lines(record.rdataset)]
    return "\n".join(lines[1:]) + "\n"


def rdata_lines(rdataset: dns.rdataset.Rdataset) -> list[str]:
    """`3600 IN MX 10 mx1.example.org.`, one a record, sorted."""
    kind = dns.rdatatype.to_text(rdataset.rdtype)
    return sorted(f"{rdataset.ttl} IN {kind} {rdata.to_text()}" for rdata in rdataset)


def render_rows(records: Sequence[WantedRecord]) -> list[tuple[str, str, str, str]]:
    """(name, type, value, reason), one row a record."""
    return [
        (
            record.owner.to_text(omit_final_dot=True),
            dns.rdatatype.to_text(record.rdataset.rdtype),
            rdata.to_text(),
            record.reason,
        )
        for record in records
        for rdata in sorted(record.rdataset)
    ]


def render_values(records: Sequence[WantedRecord]) -> list[dict[str, object]]:
    """One object per record set, as JSON takes it."""
    return [
        {
            "name": record.owner.to_text(omit_final_dot=True),
            "type": dns.rdatatype.to_text(record.rdataset.rdtype),
            "ttl": record.rdataset.ttl,
            "values": sorted(rdata.to_text() for rdata in record.rdataset),
            "reason": record.reason,
            "publish": record.publish,
        }
        for record in records
    ]
