"""DKIM: the public keys that signatures are checked with (RFC 6376 §3.6, RFC 8463).

Keys of earlier epochs stay published as long as their public halves lie in the site's folder: letters signed
with them are still on their way.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...senderauth.dkim import dkim_record, owner_name, parse_public_key
from ...spec.model import MailSpec
from ...spec.settings import PublicKeys
from .shape import WantedRecord, name, txt


def records(spec: MailSpec, keys: PublicKeys) -> Iterator[WantedRecord]:
    """One per domain and selector that has a public key."""
    for domain, rule in spec.domains.items():
        for key in keys.get(domain, ()):
            kind = "RSA" if key.algorithm.startswith("rsa") else "Ed25519"
            reason = f"proves that letters of {domain} are ours ({kind})"
            if key.selector[1:] != rule.dkim_epoch:
                reason = (
                    f"letters signed before the roll-over ({kind}); delete its file in public/ to retire it"
                )
            text = dkim_record(parse_public_key(key.pem))
            yield WantedRecord(name(owner_name(key.selector, domain)), txt(spec, text), reason)
