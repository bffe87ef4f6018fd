"""Errors, sorted by who must act: the operator, the peer, or time.

Everything else that is raised is a bug of ours. No room below the doors prints or logs; it raises one of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that the operator must mend: where it stands, what is wrong, and the cure."""

    text: str
    cure: str = ""
    file: str = ""
    line: int = 0
    """1-based line in `file`; 0 when there is none."""

    def render(self) -> str:
        """`file:line: text (cure)`, as a person reads it in a terminal."""
        place = f"{self.file}:{self.line}: " if self.line else f"{self.file}: " if self.file else ""
        cure = f"\n    → {self.cure}" if self.cure else ""
        return f"{place}{self.text}{cure}"


class OperatorError(Exception):
    """The spec, the keys or the inventory are wrong. Carries all the reasons at once; exit status 2."""

    exit_status = 2

    def __init__(self, *reasons: Reason | str) -> None:
        self.reasons: Sequence[Reason] = tuple(r if isinstance(r, Reason) else Reason(r) for r in reasons)
        super().__init__("\n".join(r.render() for r in self.reasons))


class PeerError(Exception):
    """The other side broke a rule; each protocol derives its own, with its own reply."""


class WorldError(Exception):
    """DNS, disk or network failed for now; trying later may help. Exit status 75 (EX_TEMPFAIL)."""

    exit_status = 75
