"""Names to records: a stub resolver over dnspython, and the values that every asker sees.

We do not validate DNSSEC in-process (promises S25: bombs like KeyTrap, CVE-2023-50387, would burn our CPU);
the AD bit counts only when it comes from a resolver on this very machine, over loopback.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from dns.rdata import Rdata


class Status(Enum):
    """How a lookup ended."""

    OK = "ok"
    NXDOMAIN = "no such name"
    NODATA = "no such record"
    SERVFAIL = "server failure"
    TIMEOUT = "no answer"

    @property
    def temporary(self) -> bool:
        """Whether asking later may help (RFC 5321 §5.1)."""
        return self in (Status.SERVFAIL, Status.TIMEOUT)


@dataclass(frozen=True, slots=True)
class Answer:
    """Records of one name and type, CNAMEs followed."""

    status: Status
    records: tuple[Rdata, ...] = ()
    """Empty unless the status is OK."""
    authenticated: bool = False
    """The resolver on this machine validated the answer by DNSSEC."""


class Resolver(Protocol):
    """Asks the DNS. Never raises for what the network or the DNS does: that is the status."""

    async def lookup(self, name: str, rdtype: str) -> Answer:
        """Records of `name` (A-labels, with or without the final dot) of type `MX`, `TXT`, `AAAA` …"""
