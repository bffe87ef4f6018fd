"""Files, folders and links as wishes, and the one command that makes a host's differ no more.

All that a step wants to change goes in one payload, so that a first run over a slow line is a few round trips; the
plan still names every path and what is wrong with it. Contents travel by standard input only.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from .change import Change
from .onhost import program
from .seen import Entry, Seen


@dataclass(frozen=True, slots=True)
class File:
    """A whole file. Its content is in no `repr`, for it may be a secret."""

    path: str
    content: bytes = field(repr=False)
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"

    kind = "file"

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory as it is to be."""

    path: str
    mode: int = 0o755
    owner: str = "root"
    group: str = "root"

    kind = "directory"


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link as it is to be."""

    path: str
    target: str

    kind = "link"


@dataclass(frozen=True, slots=True)
class Absent:
    """A path at which nothing is to be."""

    path: str

    kind = "absent"


Wanted = File | Directory | Link | Absent


def difference(wanted: Sequence[Wanted], seen: Seen, *, then: str = "") -> Iterator[Change]:
    """At most one change that makes the host's paths as wanted, and runs the shell text `then` when it did."""
    wrong = [(one, reason) for one in wanted if (reason := reason_to_change(one, seen))]
    if wrong:
        yield Change(
            what=tuple(f"{one.path}: {reason}" for one, reason in wrong),
            script=program("apply.py") + (f" && {then}" if then else ""),
            stdin=json.dumps([_row(one) for one, _ in wrong]),
        )


def reason_to_change(one: Wanted, seen: Seen) -> str:
    """What differs, in a few words; empty when nothing does."""
    entry = seen.entries.get(one.path)
    if isinstance(one, Absent):
        return "no longer wanted" if entry else ""
    if entry is None:
        return "missing"
    if entry.kind != one.kind:
        return f"a {entry.kind}, not a {one.kind}"
    if isinstance(one, Link):
        return "" if entry.target == one.target else f"points to {entry.target}"
    if isinstance(one, File) and entry.digest != one.digest:
        return "other content"
    return _reason_of_rights(one, entry, seen)


def _reason_of_rights(one: File | Directory, entry: Entry, seen: Seen) -> str:
    if entry.mode != one.mode:
        return f"mode {entry.mode:o}, not {one.mode:o}"
    user = seen.users.get(one.owner)
    if user is None or entry.uid != user.uid or entry.gid != seen.groups.get(one.group):
        return f"not owned by {one.owner}:{one.group}"
    return ""


def _row(one: Wanted) -> dict[str, object]:
    row: dict[str, object] = {"path": one.path, "kind": one.kind}
    if isinstance(one, File | Directory):
        row |= {"owner": one.owner, "group": one.group, "mode": one.mode}
    if isinstance(one, File):
        row["content"] = base64.b64encode(one.content).decode()
    if isinstance(one, Link):
        row["target"] = one.target
    return row
