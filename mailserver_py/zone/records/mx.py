"""MX: which host takes a domain's mail (RFC 5321 §5.1). Its target has addresses, and is never an alias."""

from __future__ import annotations

from collections.abc import Iterator

from ...spec.model import MailSpec
from ...spec.settings import PublicKeys
from .shape import WantedRecord, name, rdataset

PREFERENCE_STEP = 10
"""Room to put something between by hand; the first host of the spec is preferred."""


def records(spec: MailSpec, keys: PublicKeys) -> Iterator[WantedRecord]:
    """One record set per domain, naming every mail host."""
    hosts = mail_hosts(spec)
    for domain in spec.domains:
        texts = [f"{PREFERENCE_STEP * (index + 1)} {host}." for index, host in enumerate(hosts)]
        yield WantedRecord(name(domain), rdataset(spec, "MX", texts), f"mail for {domain} goes to our host")


def mail_hosts(spec: MailSpec) -> tuple[str, ...]:
    """The hosts that take and send mail, in the spec's order."""
    return tuple(host_name for host_name, host in spec.hosts.items() if "mail" in host.roles)
