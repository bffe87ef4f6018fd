"""A DNS made of a table, for the evaluators."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mailserver_py.senderauth.lookup import Found, Status


@dataclass
class Records:
    """Answers by (name, type); a type `TIMEOUT` makes a name fail for what it does not list."""

    table: dict[tuple[str, str], list[object]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def add(self, name: str, rdtype: str, *values: object) -> Records:
        self.table.setdefault((name.lower(), rdtype), []).extend(values)
        return self

    def _find(self, name: str, rdtype: str, depth: int = 0) -> Found[object]:
        if depth > 8:
            return Found(Status.FAILED)
        self.asked.append((name, rdtype))
        name = name.lower().removesuffix(".")
        alias = self.table.get((name, "CNAME"))
        if alias:
            return self._find(str(alias[0]), rdtype, depth + 1)
        values = self.table.get((name, rdtype))
        if values:
            return Found(Status.OK, tuple(values))
        failed = (name, "TIMEOUT") in self.table
        return Found(Status.FAILED if failed else Status.ABSENT)

    async def txt(self, name: str) -> Found[bytes]:
        return self._find(name, "TXT")  # type: ignore[return-value]  # a table of tests

    async def addresses(self, name: str, version: Literal[4, 6]) -> Found[str]:
        return self._find(name, "A" if version == 4 else "AAAA")  # type: ignore[return-value]

    async def mx(self, name: str) -> Found[str]:
        return self._find(name, "MX")  # type: ignore[return-value]

    async def ptr(self, address: str) -> Found[str]:
        return self._find(address, "PTR")  # type: ignore[return-value]
