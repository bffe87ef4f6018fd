"""A world for checks: fixed DNS answers, no doors."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import dns.rdata
import dns.rdataclass
import dns.rdatatype

from mailserver_py.net.resolver import Answer, Status
from mailserver_py.spec.model import MailSpec
from mailserver_py.verify.world import World

AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)

SPEC = MailSpec.model_validate(
    {
        "domains": {"example.org": {}},
        "hosts": {"mx1.example.org": {"ipv4": "192.0.2.10"}},
        "accounts": {"alice@example.org": {}},
    }
)


class FixedResolver:
    """Answers from a table of (name, type) → texts, or the status to fail with."""

    def __init__(self, table: Mapping[tuple[str, str], list[str] | Status]) -> None:
        self.table = table

    async def lookup(self, name: str, rdtype: str) -> Answer:
        found = self.table.get((name.rstrip(".").lower(), rdtype), Status.NXDOMAIN)
        if isinstance(found, Status):
            return Answer(found)
        kind = dns.rdatatype.from_text(rdtype)
        return Answer(Status.OK, tuple(dns.rdata.from_text(dns.rdataclass.IN, kind, text) for text in found))


def world(table: Mapping[tuple[str, str], list[str] | Status] | None = None, **changes: Any) -> World:
    resolver = FixedResolver(table or {})
    fields: dict[str, Any] = {
        "spec": SPEC,
        "records": (),
        "resolver": resolver,
        "authority": resolver,
        "doors": (),
        "trust": ssl.create_default_context(),
        "now": lambda: AT,
    }
    return World(**(fields | changes))
