"""SPF: who may send mail in a domain's name (RFC 7208).

The domain's record set is shared: other TXT records at the domain's own name (proofs of ownership for web
services) are not ours and stay.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...spec.model import MailSpec
from ...spec.settings import PublicKeys
from .mx import mail_hosts
from .shape import WantedRecord, name, txt

VERSION = b"v=spf1"
"""What makes a TXT record an SPF record (RFC 7208 §4.5)."""


def records(spec: MailSpec, keys: PublicKeys) -> Iterator[WantedRecord]:
    """One per domain, and one per host name for the HELO identity (RFC 7208 §2.3)."""
    for domain in spec.domains:
        reason = f"only our hosts send mail as {domain}; all else is forged"
        yield WantedRecord(name(domain), txt(spec, "v=spf1 mx -all"), reason, mine=VERSION)
    for host in mail_hosts(spec):
        if host not in spec.domains:
            # Bounces have a null reverse-path, so receivers check the HELO name instead (RFC 7208 §2.4).
            reason = f"bounces from {host} have no sender domain; its own name vouches for them"
            yield WantedRecord(name(host), txt(spec, "v=spf1 a -all"), reason, mine=VERSION)
