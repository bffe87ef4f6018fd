"""What a check is, and what comes out of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .world import World


class Certainty(Enum):
    """Whether something is wrong, or could not be looked at."""

    WRONG = "wrong"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as wished."""

    code: str
    """Stable: scripts and suppressions depend on it. `<noun>.<what>`."""
    subject: str
    """What it is about: a record, a listener, a mailbox."""
    seen: str
    wanted: str
    fix: str
    """What the operator does next."""
    certainty: Certainty = Certainty.WRONG


def unknown(code: str, subject: str, seen: str, fix: str) -> Finding:
    """A finding that says: this could not be looked at."""
    return Finding(code, subject, seen, "an answer", fix, Certainty.UNKNOWN)


@dataclass(slots=True)
class Outcome:
    """What one run of one check gathered."""

    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What was looked at and is well, with its figures: `to IMAP in 0.12 s`."""

    def find(self, code: str, subject: str, *, seen: str, wanted: str, fix: str) -> None:
        """Adds a finding."""
        self.findings.append(Finding(code, subject, seen, wanted, fix))

    def cannot_tell(self, code: str, subject: str, *, seen: str, fix: str) -> None:
        """Adds a finding of unknown certainty."""
        self.findings.append(unknown(code, subject, seen, fix))


@dataclass(frozen=True, slots=True)
class Check:
    """A leaf of `checks/`."""

    name: str
    title: str
    """One line for the table."""
    run: Callable[[World], Awaitable[Outcome]]
    deadline_s: float = 30.0
    """Then the check could not tell. Long enough for a slow network, short enough to be waited for."""
    applies: Callable[[World], bool] = lambda world: True
    """Whether there is anything to look at on this site, from here."""


@dataclass(frozen=True, slots=True)
class Result:
    """A finished check."""

    check: str
    title: str
    elapsed_s: float
    findings: Sequence[Finding]
    notes: Sequence[str]
    skipped: str = ""
    """Why it did not run, or empty."""

    @property
    def state(self) -> str:
        """`ok`, `wrong`, `unknown` or `skipped`."""
        if self.skipped:
            return "skipped"
        if any(f.certainty is Certainty.WRONG for f in self.findings):
            return "wrong"
        return "unknown" if self.findings else "ok"


@dataclass(frozen=True, slots=True)
class Verdict:
    """All results of one verification."""

    site: str
    at: str
    """ISO 8601, UTC."""
    results: Sequence[Result]

    @property
    def exit_status(self) -> int:
        """0: all is well; 1: something is wrong; 75: nothing wrong seen, but not all could be looked at."""
        states = {result.state for result in self.results}
        return 1 if "wrong" in states else 75 if "unknown" in states else 0
