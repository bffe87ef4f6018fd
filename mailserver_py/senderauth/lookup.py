"""What the evaluators ask of the DNS: a port of four questions; whoever calls them brings the resolver."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Generic, Literal, Protocol, TypeVar

T = TypeVar("T")


class Status(Enum):
    """How a question ended."""

    OK = "ok"
    ABSENT = "absent"
    """No such name, or no such record at it: an answer, and one that lasts."""
    FAILED = "failed"
    """No answer for now: server failure or timeout."""


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """The answer; values only when OK."""

    status: Status
    values: tuple[T, ...] = ()


class Lookup(Protocol):
    """Names are A-labels without a final dot. Nothing here raises."""

    async def txt(self, name: str) -> Found[bytes]:
        """The TXT records, the strings of each joined (RFC 7208 §3.3)."""

    async def addresses(self, name: str, version: Literal[4, 6]) -> Found[str]:
        """A or AAAA records as textual addresses."""

    async def mx(self, name: str) -> Found[str]:
        """Exchange names, the preferred first."""

    async def ptr(self, address: str) -> Found[str]:
        """Names that a textual address claims."""
