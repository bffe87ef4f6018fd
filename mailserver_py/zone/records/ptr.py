"""PTR: the name behind each host's address, which large receivers insist on (RFC 1912 §2.1).

The zone is the address owner's: usually one asks the provider for it. Where our DNS server has the reverse
zone, `publish` sends it like any other record.
"""

from __future__ import annotations

from collections.abc import Iterator

import dns.reversename

from ...spec.model import MailSpec
from ...spec.settings import PublicKeys
from .shape import WantedRecord, rdataset


def records(spec: MailSpec, keys: PublicKeys) -> Iterator[WantedRecord]:
    """One per address of each host."""
    for host_name, host in spec.hosts.items():
        for address in (host.ipv4, host.ipv6):
            if address is not None:
                reason = f"receivers distrust {address} unless it is called {host_name}"
                owner = dns.reversename.from_address(str(address))
                yield WantedRecord(owner, rdataset(spec, "PTR", [f"{host_name}."]), reason, publish=False)
