"""The shape of a provisioning step: from the wish and what was seen, the changes that are left to make.

A step is pure: it reads two values and yields others, so that `--dry` tells the truth and a test is a small world
(seen in, changes out). It never asks whether an earlier step changed something in this run: a run may have died
between the two. It compares what is with what is wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..change import Change, Upload
from ..seen import Seen
from ..wish import Wish

__all__ = ["Change", "Gate", "Step", "Upload"]


@dataclass(frozen=True, slots=True)
class Step:
    """A leaf that changes."""

    name: str
    """What the operator reads in the plan."""
    changes: Callable[[Wish, Seen], Iterator[Change]]


@dataclass(frozen=True, slots=True)
class Gate:
    """A leaf that looks once more, after the changes before it, and fails the deploy when it must."""

    name: str
    question: Callable[[Wish, Seen], str]
    """Shell text that asks the host and prints one JSON object. Changes nothing."""
    reasons: Callable[[Mapping[str, object]], Sequence[str]]
    """What is wrong, from the answer; nothing: the gate is open."""
