"""SRV: how mail clients find the listeners from an address alone (RFC 6186, RFC 8314 §5.1)."""

from __future__ import annotations

from collections.abc import Iterator

from ...spec.listeners import LISTENERS, Listener
from ...spec.model import MailSpec
from ...spec.settings import PublicKeys
from .mx import mail_hosts
from .shape import WantedRecord, name, rdataset

PRIORITY = {"imap": 0, "smtp": 0, "pop3": 10}
"""IMAP before POP3 for clients that know both (RFC 6186 §3.4)."""

WEIGHT = 0
"""Nothing to weigh (RFC 2782)."""


def records(spec: MailSpec, keys: PublicKeys) -> Iterator[WantedRecord]:
    """One record set per domain and listener with a service label; closed doors are named as closed."""
    hosts = mail_hosts(spec)
    for domain in spec.domains:
        for door in LISTENERS:
            if not door.srv:
                continue
            owner = name(f"_{door.srv}._tcp.{domain}")
            if getattr(spec.listeners, door.name):
                texts = [_target(door, index, host) for index, host in enumerate(hosts)]
                yield WantedRecord(owner, rdataset(spec, "SRV", texts), f"clients find {_what(door)} by it")
            else:
                # RFC 2782: a target of "." says that the service is decidedly not available here.
                reason = f"tells clients that {_what(door)} is not offered"
                yield WantedRecord(owner, rdataset(spec, "SRV", ["0 0 0 ."]), reason)


def _target(door: Listener, index: int, host: str) -> str:
    return f"{PRIORITY[door.protocol] + index} {WEIGHT} {door.port} {host}."


def _what(door: Listener) -> str:
    words = {"smtp": "submission", "imap": "IMAP", "pop3": "POP3"}
    return f"{words[door.protocol]} with {'TLS' if door.implicit_tls else 'STARTTLS'}"
