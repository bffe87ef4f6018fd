"""What was published before: the site's own memory, `public/published.json`, so that a dropped wish is deleted.

Only record data that we once wrote is ever deleted, and only while it is still what we wrote: somebody else may
have taken the name over since.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import dns.exception
import dns.name
import dns.rdataset
import dns.rdatatype
from dns.rdatatype import RdataType

Key = tuple[dns.name.Name, RdataType]

VERSION = 1


@dataclass(frozen=True, slots=True)
class Published:
    """Record sets as they were last published, by owner and type. Their TTL is not kept: it is no identity."""

    sets: Mapping[Key, dns.rdataset.Rdataset] = field(default_factory=dict)

    def serialize(self) -> bytes:
        """Sorted and stable: publishing the same again changes no file in git."""
        entries = [
            {
                "name": owner.to_text(),
                "type": dns.rdatatype.to_text(rdtype),
                "values": sorted(rdata.to_text() for rdata in rdataset),
            }
            for (owner, rdtype), rdataset in sorted(self.sets.items())
        ]
        return json.dumps({"version": VERSION, "records": entries}, indent=1).encode() + b"\n"

    def within(self, keys: Iterable[Key]) -> Published:
        """The part with these owners and types."""
        return Published({key: self.sets[key] for key in keys if key in self.sets})

    def after(self, ours: Mapping[Key, dns.rdataset.Rdataset], gone: Iterable[Key]) -> Published:
        """The memory after `ours` were published and `gone` were deleted."""
        return Published({key: sets for key, sets in {**self.sets, **ours}.items() if key not in set(gone)})


def parse_published(data: bytes) -> Published:
    """Reads the file. Raises ValueError when it is damaged or of a later version."""
    try:
        document = json.loads(data)
        if document["version"] != VERSION:
            raise ValueError(f"version {document['version']} is not known here")
        sets = {}
        for entry in document["records"]:
            rdtype = dns.rdatatype.from_text(entry["type"])
            rdataset = dns.rdataset.from_text_list("IN", rdtype, 0, entry["values"])
            sets[dns.name.from_text(entry["name"]), rdtype] = rdataset
    except (KeyError, TypeError, dns.exception.DNSException) as error:
        raise ValueError(f"damaged: {error}") from None
    return Published(sets)
