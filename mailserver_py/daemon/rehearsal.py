"""A world small enough for one machine: DNS answers from a file, and detours to unprivileged ports.

Everything else stays as it is: a letter to the outside is looked up, dialled and handed over by SMTP like any
other. The file is JSON: `{"answers": [[name, type, [record data, …]], …], "ports": {"127.0.0.2": {"25":
12025}}}`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mailserver_py.errors import OperatorError, Reason
from mailserver_py.net.dial import dial
from mailserver_py.net.resolver import TableResolver
from mailserver_py.net.stream import Stream


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The stand-ins for the resolver and for `dial`."""

    resolver: TableResolver
    ports: Mapping[str, Mapping[int, int]]
    """By address: the port that is meant → the port that is open here."""

    async def dial(self, address: str, port: int, *, timeout_s: float, source: str | None = None) -> Stream:
        """As `net.dial`, by the detour; addresses without one are nowhere."""
        detour = self.ports.get(address, {}).get(port)
        if detour is None:
            raise ConnectionRefusedError("not part of this rehearsal")
        return await dial(address, detour, timeout_s=timeout_s, source=source)


def load_rehearsal(path: Path) -> Rehearsal:
    """Reads the file. Raises OperatorError."""
    try:
        value = json.loads(path.read_bytes())
        table = {(str(name), str(rdtype)): tuple(texts) for name, rdtype, texts in value["answers"]}
        ports = {
            str(address): {int(meant): int(there) for meant, there in detours.items()}
            for address, detours in value["ports"].items()
        }
        return Rehearsal(TableResolver(table), ports)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise OperatorError(
            Reason("is no rehearsal", "it is written by `mailserver try`", str(path))
        ) from error
