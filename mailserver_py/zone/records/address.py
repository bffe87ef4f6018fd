"""A and AAAA: where each host is (RFC 1035 §3.4.1, RFC 3596 §2)."""

from __future__ import annotations

from collections.abc import Iterator

from ...spec.model import MailSpec
from ...spec.settings import PublicKeys
from .shape import WantedRecord, name, rdataset


def records(spec: MailSpec, keys: PublicKeys) -> Iterator[WantedRecord]:
    """One record set per host and address family."""
    for host_name, host in spec.hosts.items():
        reason = f"mail and clients reach {host_name} here"
        if host.ipv4 is not None:
            yield WantedRecord(name(host_name), rdataset(spec, "A", [str(host.ipv4)]), reason)
        if host.ipv6 is not None:
            yield WantedRecord(name(host_name), rdataset(spec, "AAAA", [str(host.ipv6)]), reason)
