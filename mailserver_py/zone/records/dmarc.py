"""DMARC: what receivers do with mail that only pretends to be from a domain (RFC 9989 §4.7)."""

from __future__ import annotations

from collections.abc import Iterator

from ...spec.model import MailSpec
from ...spec.settings import PublicKeys
from .shape import WantedRecord, name, txt


def records(spec: MailSpec, keys: PublicKeys) -> Iterator[WantedRecord]:
    """One per domain; and the consent of another domain of ours to receive its reports (RFC 9990 §4)."""
    for domain, rule in spec.domains.items():
        reports = rule.dmarc.reports or f"postmaster@{domain}"
        text = f"v=DMARC1; p={rule.dmarc.policy}; rua=mailto:{_uri_address(reports)}"
        reason = f"mail that pretends to be from {domain}: {rule.dmarc.policy}; reports to {reports}"
        yield WantedRecord(name(f"_dmarc.{domain}"), txt(spec, text), reason)
        receiver = reports.rpartition("@")[2]
        if receiver != domain and receiver in spec.domains:
            consent = name(f"{domain}._report._dmarc.{receiver}")
            yield WantedRecord(consent, txt(spec, "v=DMARC1;"), f"{receiver} consents to reports on {domain}")


def _uri_address(address: str) -> str:
    """Percent-encodes what separates addresses and size limits in `rua` (RFC 9989 §4.7) and in URIs."""
    return "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "@.-_+~=") else _percent(letter)
        for letter in address
    )


def _percent(letter: str) -> str:
    return "".join(f"%{octet:02X}" for octet in letter.encode())
