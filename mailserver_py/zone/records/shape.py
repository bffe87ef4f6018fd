"""What a leaf of this family looks like: a function from the wish to records, each with its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
from dns.rdtypes.ANY.TXT import TXT

from ...spec.model import MailSpec
from ...spec.settings import PublicKeys

MAX_STRING_OCTETS = 255
"""One string of a TXT record (RFC 1035 §3.3); longer texts are several, read as one (RFC 7208 §3.3)."""


@dataclass(frozen=True, slots=True)
class WantedRecord:
    """One record set that the wish implies."""

    owner: dns.name.Name
    rdataset: dns.rdataset.Rdataset
    reason: str
    """Why it exists, for people."""
    publish: bool = True
    """False: usually somebody else's zone (reverse names); published only where the server has that zone."""
    mine: bytes = b""
    """When not empty, the record set is shared: only texts that start with this are ours, others stay."""
    kind: str = ""
    """The leaf's name: `mx`, `dkim` …; findings are named after it."""


Leaf = Callable[[MailSpec, PublicKeys], Iterator[WantedRecord]]


def name(text: str) -> dns.name.Name:
    """An absolute name."""
    return dns.name.from_text(text, dns.name.root)


def rdataset(spec: MailSpec, rdtype: str, texts: Iterable[str]) -> dns.rdataset.Rdataset:
    """A record set of the site's TTL from record texts with absolute names."""
    return dns.rdataset.from_text_list("IN", rdtype, int(spec.dns.ttl), sorted(texts))


def txt(spec: MailSpec, text: str) -> dns.rdataset.Rdataset:
    """One TXT record; a long text in strings of 255 octets."""
    octets = text.encode("ascii")
    strings = [
        octets[start : start + MAX_STRING_OCTETS] for start in range(0, len(octets), MAX_STRING_OCTETS)
    ]
    record = TXT(dns.rdataclass.IN, dns.rdatatype.TXT, strings)
    return dns.rdataset.from_rdata(int(spec.dns.ttl), record)
