"""The maildrop of one session: what was there at login, numbered, and what the session wishes to remove."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Entry(NamedTuple):
    """One message, as the store knows it."""

    uid: int
    size_bytes: int


class Maildrop:
    """Messages numbered from 1, fixed for the session (RFC 1939 §4)."""

    def __init__(self, uid_validity: int, entries: Sequence[Entry]) -> None:
        self._uid_validity = uid_validity
        self._entries = entries
        self._deleted: set[int] = set()
        """By index."""
        self.retrieved_uids: set[int] = set()

    def __iter__(self) -> Iterator[tuple[int, Entry]]:
        """Those not marked as deleted, with their numbers."""
        for index, entry in enumerate(self._entries):
            if index not in self._deleted:
                yield index + 1, entry

    @property
    def count(self) -> int:
        """Messages not marked."""
        return len(self._entries) - len(self._deleted)

    @property
    def size_bytes(self) -> int:
        """Their octets."""
        return sum(entry.size_bytes for _, entry in self)

    @property
    def deleted_uids(self) -> list[int]:
        """Ascending, as the store wants it."""
        return [self._entries[index].uid for index in sorted(self._deleted)]

    def entry(self, number: int) -> Entry | None:
        """A message by number, marked or not."""
        return self._entries[number - 1] if 1 <= number <= len(self._entries) else None

    def is_deleted(self, number: int) -> bool:
        """Whether it is marked."""
        return number - 1 in self._deleted

    def delete(self, number: int) -> None:
        """Marks an existing message."""
        self._deleted.add(number - 1)

    def reset(self) -> None:
        """Unmarks all."""
        self._deleted.clear()

    def unique_id(self, entry: Entry) -> str:
        """UIDL's id: 1 to 70 printable characters that never change (§7); UIDVALIDITY guards a rebuilt
        mailbox."""
        return f"{self._uid_validity}.{entry.uid}"
