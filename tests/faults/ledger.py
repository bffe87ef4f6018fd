"""What was promised to whom, against what is there after a fault. Knows no store and no protocol.

A client writes each letter down before it sends it, and the answer when it has come. The lines go to a file that the
fault does not reach, by `writev`, which the campaigns never inject a fault into. After the fault every id is classed:

- LOST  answered with a promise, and nowhere
- TORN  there, but with other octets
- GHOST refused for certain, and there
- DUP   there twice, though no answer was missing that explains it
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any


class Answer(Enum):
    """What the client saw."""

    NONE = "none"
    """Nothing: the fault came first. The letter may be there or not."""
    PROMISED = "promised"
    REFUSED = "refused"


@dataclass(slots=True)
class Entry:
    """One letter, or whatever else was promised."""

    identity: str
    sha256: str
    answer: Answer = Answer.NONE
    sent_count: int = 1
    """How often it was sent: an answer lost and a letter sent again explain a second copy."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The ids of each class; clean when all are empty."""

    promised_count: int
    lost: Sequence[str] = ()
    torn: Sequence[str] = ()
    ghost: Sequence[str] = ()
    dup: Sequence[str] = ()

    @property
    def is_clean(self) -> bool:
        """Nothing was broken."""
        return not (self.lost or self.torn or self.ghost or self.dup)

    def __str__(self) -> str:
        classes = (("LOST", self.lost), ("TORN", self.torn), ("GHOST", self.ghost), ("DUP", self.dup))
        counts = " ".join(f"{name} {len(ids)}" for name, ids in classes)
        named = "".join(f"; {name}: {', '.join(ids[:5])}" for name, ids in classes if ids)
        return f"{self.promised_count} promised: {counts}{named}"


class Ledger:
    """One client's log. Several processes may write to files of their own and be read together."""

    def __init__(self, path: Path) -> None:
        self.handle = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)

    def note(self, kind: str, **values: Any) -> None:
        """Appends a line."""
        os.writev(self.handle, [json.dumps({"kind": kind, **values}).encode() + b"\n"])

    def sending(self, identity: str, sha256: str) -> None:
        """Before the letter leaves."""
        self.note("sending", id=identity, sha256=sha256)

    def answered(self, identity: str, answer: Answer) -> None:
        """After the answer came."""
        self.note("answered", id=identity, answer=answer.value)

    def close(self) -> None:
        """Closes the file."""
        os.close(self.handle)


def load_notes(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """Every complete line."""
    notes = []
    for path in sorted(paths):
        for line in path.read_bytes().split(b"\n")[:-1]:
            notes.append(json.loads(line))
    return notes


def load_entries(paths: Iterable[Path]) -> dict[str, Entry]:
    """The letters of the ledgers, by id."""
    entries: dict[str, Entry] = {}
    for note in load_notes(paths):
        if note["kind"] == "sending":
            known = entries.get(note["id"])
            if known is None:
                entries[note["id"]] = Entry(note["id"], note["sha256"])
            else:
                known.sent_count += 1
                known.answer = Answer.NONE if known.answer is Answer.REFUSED else known.answer
        elif note["kind"] == "answered":
            entries[note["id"]].answer = Answer(note["answer"])
    return entries


def evaluate(entries: Mapping[str, Entry], found: Mapping[str, Sequence[str]], places: int = 1) -> Verdict:
    """Classes every entry. `found` names the SHA-256 of each copy seen, by id; `places` is how many copies are due."""
    lost, torn, ghost, dup = [], [], [], []
    for identity, entry in entries.items():
        copies = found.get(identity, ())
        if any(sha256 != entry.sha256 for sha256 in copies):
            torn.append(identity)
        if entry.answer is Answer.PROMISED and len(copies) < places:
            lost.append(identity)
        if entry.answer is Answer.REFUSED and copies:
            ghost.append(identity)
        if len(copies) > places * entry.sent_count:
            dup.append(identity)
    ghost += [identity for identity in found if identity not in entries]
    promised_count = sum(entry.answer is Answer.PROMISED for entry in entries.values())
    return Verdict(promised_count, lost, torn, ghost, dup)


@dataclass(slots=True)
class Boxes:
    """A model of one account's mailboxes, replayed from notes: mailbox → UID → (sha256, flags)."""

    boxes: dict[str, dict[int, tuple[str, int]]] = field(default_factory=dict)

    def play(self, note: Mapping[str, Any]) -> None:
        """Does what a note of kind `append`, `flags`, `move`, `expunge` says, its UIDs known."""
        box = self.boxes.setdefault(note["mailbox"], {})
        if note["op"] == "append":
            box.update({uid: (sha256, 0) for uid, sha256 in zip(note["uids"], note["hashes"], strict=True)})
        elif note["op"] == "flags":
            box.update({uid: (box[uid][0], box[uid][1] | note["flags"]) for uid in note["uids"]})
        elif note["op"] == "move":
            target = self.boxes.setdefault(note["target"], {})
            target.update(
                {new: box.pop(uid) for uid, new in zip(note["uids"], note["new_uids"], strict=True)}
            )
        elif note["op"] == "expunge":
            for uid in note["uids"]:
                del box[uid]

    def as_plain(self) -> dict[str, dict[int, tuple[str, int]]]:
        """Without empty mailboxes, to be compared."""
        return {name: dict(box) for name, box in self.boxes.items() if box}
