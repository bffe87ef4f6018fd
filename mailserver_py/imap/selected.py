"""The selected mailbox as one session sees it: sequence numbers, what was told. RFC 9051 §2.3.1.2, §7.5.1.

The store knows UIDs; sequence numbers exist only here. The view holds the numbers of every message in flat arrays,
about 70 octets a message, so that an idle session with a large mailbox stays small. What others did arrives by
`refresh` and is told by `updates`, where the standard allows: a vanished message keeps its sequence number until its
EXPUNGE is sent.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

from ..mailstore.port import Account
from ..mailstore.values import Flag, FlagsStored, Mailbox, Message
from .flags import SYSTEM_FLAGS, serialize_flags
from .replies import bad
from .sequence import SequenceSet, serialize_numbers

CHUNK_MESSAGES = 4096
"""Update lines joined into one write: about 256 kB."""


HASH_BYTES = 32
"""SHA-256."""


def _packed_hash(message: Message) -> bytes:
    return bytes.fromhex(message.sha256).ljust(HASH_BYTES, b"\0")


class Selected:
    """One selected mailbox."""

    def __init__(
        self, account: Account, mailbox: Mailbox, messages: Sequence[Message], *, read_only: bool
    ) -> None:
        self.account = account
        self.mailbox = mailbox
        self.read_only = read_only
        self.modseq = mailbox.highest_modseq
        """Everything up to this one is in the view."""
        self.saved: frozenset[int] = frozenset()
        """UIDs of the last SEARCH with SAVE (RFC 9051 §6.4.4.1)."""
        self.kept: tuple[int, bytes] | None = None
        """UID and octets of the letter that is being fetched piece by piece; until another command comes."""
        self.with_modseq = False
        """The client gets MODSEQ with every FETCH (RFC 7162 §3.2)."""
        self.vanishing = False
        """The client gets VANISHED instead of EXPUNGE (RFC 7162 §3.2.10)."""
        self.uids = array("I", [m.uid for m in messages])
        self.modseqs = array("Q", [m.modseq for m in messages])
        self.flags = array("B", [m.flags for m in messages])
        self.sizes = array("Q", [m.size_bytes for m in messages])
        self.received = array("q", [m.received_at_s for m in messages])
        self.keywords = [m.keywords for m in messages]
        self._hashes = bytearray(b"".join([_packed_hash(m) for m in messages]))
        self.known_keywords: dict[str, str] = {}
        self._learn(set(self.keywords))
        self._told_count = len(self.uids)
        self._told_keywords = len(self.known_keywords)
        self.uid_only = False
        """The client knows no sequence numbers (RFC 9586)."""
        self._gone: set[int] = set()
        self._touched: set[int] = set()
        self._safe_modseq = self.modseq
        """Everything up to this one is told, or will be by the next `updates` whatever it may not say."""
        self._changed: set[int] = set()

    @classmethod
    async def open(cls, account: Account, name: str, *, read_only: bool) -> Selected:
        """Reads the mailbox's present state. Raises NoSuchMailbox."""
        mailbox = await account.mailbox(name)
        return cls(account, mailbox, await account.messages(mailbox.mailbox_id), read_only=read_only)

    @property
    def count(self) -> int:
        """EXISTS as the client knows it after the next `updates`."""
        return len(self.uids)

    @property
    def uid_next(self) -> int:
        """Larger than every UID in the view, also when letters came between two reads."""
        return max(self.mailbox.uid_next, self.uids[-1] + 1 if self.uids else 1)

    def _learn(self, keywords: Iterable[str]) -> None:
        for joined in keywords:
            for keyword in joined.split():
                self.known_keywords.setdefault(keyword.lower(), keyword)

    @property
    def resyncing(self) -> bool:
        """The client keeps a MODSEQ, and means by it that it knows all up to there (RFC 7162 §3.2)."""
        return self.vanishing and self.with_modseq

    # --- numbers

    def index(self, uid: int) -> int:
        """Position of a UID in the view, or -1."""
        at = bisect_left(self.uids, uid)
        return at if at < len(self.uids) and self.uids[at] == uid else -1

    def pick(self, wanted: SequenceSet, *, uid: bool, lenient: bool = False) -> list[int]:
        """Positions that a command's set means, ascending.

        Raises BAD for a sequence number that does not exist (RFC 9051 §9 `seq-number`) unless `lenient`, as SEARCH is
        (§6.4.9's example); UIDs may be missing.
        """
        if wanted.saved and (uid or not self.uid_only):
            return [at for at in map(self.index, sorted(self.saved)) if at >= 0]
        picked: list[int] = []
        if uid:
            for low, high in wanted.resolve(self.uids[-1] if self.uids else 0):
                picked.extend(range(bisect_left(self.uids, low), bisect_right(self.uids, high)))
            return picked
        if self.uid_only:
            raise bad(b"Only UIDs are used here", b"UIDREQUIRED")
        for low, high in wanted.resolve(self._told_count):
            if not lenient and (low < 1 or high > self._told_count):
                raise bad(b"There is no message of that number")
            picked.extend(range(max(low, 1) - 1, min(high, self._told_count)))
        return picked

    def email_id(self, at: int) -> bytes:
        """The EMAILID of a message: its content's name in the store, which copies share (RFC 8474 §5.1)."""
        return b"M" + self._hashes[at * HASH_BYTES : (at + 1) * HASH_BYTES].hex().encode()

    def is_gone(self, at: int) -> bool:
        """Whether the message is known to be expunged, though the client was not told yet."""
        return self.uids[at] in self._gone

    @property
    def has_gone(self) -> bool:
        """Whether there is any such message."""
        return bool(self._gone)

    @property
    def gone_uids(self) -> frozenset[int]:
        """What is known to be expunged and was not told."""
        return frozenset(self._gone)

    def take_touched(self) -> set[int]:
        """UIDs of messages that came or changed since the last time."""
        touched, self._touched = self._touched, set()
        return touched

    # --- what happened

    async def refresh(self) -> None:
        """Takes in what happened since. Raises NoSuchMailbox when the mailbox itself is gone."""
        changes = await self.account.changes(self.mailbox.mailbox_id, self.modseq)
        if not self._gone:
            self._safe_modseq = self.modseq
        self.mailbox = changes.mailbox
        self.modseq = max(self.modseq, changes.mailbox.highest_modseq)
        self._gone.update(uid for uid in changes.expunged_uids if self.index(uid) >= 0)
        last = self.uids[-1] if self.uids else 0
        for message in changes.messages:
            if message.uid > last:
                self._append(message)
                last = message.uid
            else:
                at = self.index(message.uid)
                if at >= 0 and message.modseq > self.modseqs[at]:
                    self._update(at, message)
                    self._changed.add(message.uid)

    def _append(self, message: Message) -> None:
        self.uids.append(message.uid)
        self.modseqs.append(message.modseq)
        self.flags.append(message.flags)
        self.sizes.append(message.size_bytes)
        self.received.append(message.received_at_s)
        self.keywords.append(message.keywords)
        self._hashes += _packed_hash(message)
        self._learn((message.keywords,))
        self._touched.add(message.uid)

    def _update(self, at: int, message: Message) -> None:
        self.modseqs[at] = message.modseq
        self.flags[at] = message.flags
        self._touched.add(message.uid)
        if message.keywords != self.keywords[at]:
            self.keywords[at] = message.keywords
            self._learn((message.keywords,))

    def stored(self, result: FlagsStored, *, tell: bool) -> None:
        """Takes in what this session's own STORE did; the client is told unless it asked for silence."""
        for message in result.messages:
            at = self.index(message.uid)
            if at < 0:
                continue
            self._update(at, message)
            if tell:
                self._changed.add(message.uid)

    def expunged(self, uids: Iterable[int]) -> None:
        """Takes in what this session removed itself."""
        self._gone.update(uid for uid in uids if self.index(uid) >= 0)

    # --- what the client is told

    def updates(self, *, expunges: bool, uid: bool = True, recent: bool = False) -> Iterator[bytes]:
        """EXPUNGE, EXISTS, FLAGS and FETCH responses for all that the client does not know, in bounded chunks.

        RFC 9051 §7.5.1 forbids EXPUNGE while a FETCH, STORE or SEARCH without UID runs, or no command at all. A client
        with QRESYNC then learns up to where it knows all (RFC 7162 §3.2), lest it takes a later MODSEQ for that.
        """
        if expunges and self._gone:
            yield from self._expunge()
        if len(self.uids) != self._told_count:
            self._told_count = len(self.uids)
            yield b"* %d EXISTS\r\n" % self._told_count + (b"* 0 RECENT\r\n" if recent else b"")
        if len(self.known_keywords) != self._told_keywords:
            self._told_keywords = len(self.known_keywords)
            yield self.serialize_defined_flags()
        if self._changed:
            changed, self._changed = self._changed, set()
            positions = sorted(at for at in map(self.index, changed) if at >= 0)
            for start in range(0, len(positions), CHUNK_MESSAGES):
                yield b"".join(self._fetch(at, uid=uid) for at in positions[start : start + CHUNK_MESSAGES])
        if self._gone and self.resyncing:
            yield b"* OK [HIGHESTMODSEQ %d] Expunged messages are to be told yet\r\n" % self._safe_modseq

    def _fetch(self, at: int, *, uid: bool) -> bytes:
        flags = serialize_flags(self.flags[at], self.keywords[at])
        if self.uid_only:
            modseq = b" MODSEQ (%d)" % self.modseqs[at] if self.with_modseq else b""
            return b"* %d UIDFETCH (FLAGS (%b)%b)\r\n" % (self.uids[at], flags, modseq)
        number = b"UID %d " % self.uids[at] if uid else b""
        modseq = b" MODSEQ (%d)" % self.modseqs[at] if self.with_modseq else b""
        return b"* %d FETCH (%bFLAGS (%b)%b)\r\n" % (at + 1, number, flags, modseq)

    def _expunge(self) -> Iterator[bytes]:
        """From the highest number down, so that no number moves before it is said."""
        gone = self._gone
        numbers = [at + 1 for at, uid in enumerate(self.uids) if uid in gone]
        told = [number for number in numbers if number <= self._told_count]
        for start in range(len(told), 0, -CHUNK_MESSAGES):
            chunk = told[max(0, start - CHUNK_MESSAGES) : start]
            if self.vanishing:
                yield b"* VANISHED %b\r\n" % serialize_numbers(self.uids[number - 1] for number in chunk)
            else:
                yield b"".join([b"* %d EXPUNGE\r\n" % number for number in reversed(chunk)])
        keep = [at for at, uid in enumerate(self.uids) if uid not in gone]
        for name in ("uids", "modseqs", "flags", "sizes", "received"):
            column = getattr(self, name)
            setattr(self, name, array(column.typecode, [column[at] for at in keep]))
        self.keywords = [self.keywords[at] for at in keep]
        self._hashes = bytearray(
            b"".join([self._hashes[at * HASH_BYTES : (at + 1) * HASH_BYTES] for at in keep])
        )
        self.saved -= gone
        self._changed -= gone
        self._told_count -= len(told)
        self._gone = set()

    def serialize_defined_flags(self) -> bytes:
        """The FLAGS and PERMANENTFLAGS responses (RFC 9051 §7.3.5, §7.1)."""
        names = [name for _, name in SYSTEM_FLAGS]
        names.extend(keyword.encode("ascii", "replace") for keyword in self.known_keywords.values())
        flags = b" ".join(names)
        permanent = b"" if self.read_only else flags + b" \\*"
        return b"* FLAGS (%b)\r\n* OK [PERMANENTFLAGS (%b)] Flags that stay\r\n" % (flags, permanent)

    def serialize_highest_modseq(self) -> bytes:
        """The HIGHESTMODSEQ response (RFC 7162 §3.1.2.1): what the client knows."""
        return b"* OK [HIGHESTMODSEQ %d] The newest change\r\n" % max(1, self.modseq)

    def serialize_flags_since(self, wanted: SequenceSet, since_modseq: int) -> Iterator[bytes]:
        """FETCH responses for flags changed after a MODSEQ among the UIDs asked for, in bounded chunks."""
        changed = [at for at in self.pick(wanted, uid=True) if self.modseqs[at] > since_modseq]
        for start in range(0, len(changed), CHUNK_MESSAGES):
            yield b"".join(self._fetch(at, uid=True) for at in changed[start : start + CHUNK_MESSAGES])

    async def vanished_since(self, wanted: SequenceSet, since_modseq: int) -> list[int]:
        """UIDs among those asked for that were expunged after a MODSEQ and are not in the view."""
        changes = await self.account.changes(self.mailbox.mailbox_id, since_modseq)
        ranges = wanted.resolve(self.uid_next - 1)
        lows = [low for low, _ in ranges]
        found = []
        for uid in sorted(changes.expunged_uids):
            near = bisect_right(lows, uid) - 1
            if near >= 0 and uid <= ranges[near][1] and self.index(uid) < 0:
                found.append(uid)
        return found

    def first_unseen(self) -> int:
        """Sequence number of the first message without SEEN, or 0 (RFC 3501 §7.1 UNSEEN)."""
        return next((at + 1 for at, bits in enumerate(self.flags) if not bits & Flag.SEEN), 0)
