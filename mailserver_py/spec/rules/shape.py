"""What a rule looks like: a function from the whole spec to what contradicts itself in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..model import MailSpec
from ..source import Loc


@dataclass(frozen=True, slots=True)
class Finding:
    """One contradiction: where in the spec, what is wrong, and the cure."""

    loc: Loc
    text: str
    cure: str


Rule = Callable[[MailSpec], Iterator[Finding]]
FileRule = Callable[[MailSpec, Path], Iterator[Finding]]
"""The second argument is the site's folder, which file names in the spec are relative to."""
