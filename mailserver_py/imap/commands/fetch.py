"""FETCH: RFC 9051 §6.4.5; the items are `imap.items`' rows. CHANGEDSINCE and VANISHED: RFC 7162
§3.1.4.1, §3.2.6. PARTIAL: RFC 9394 §3.3.

Messages are answered batch by batch, and batches are written in chunks of about CHUNK_BYTES, so that the memory of a
FETCH does not grow with the mailbox.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...mailstore.values import Flag, FlagChange
from ..cursor import Cursor
from ..items import FLAGS_ITEM, MODSEQ_ITEM, UID_ITEM, Batch, Item, parse_items, render
from ..qresync import serialize_earlier
from ..replies import Reply, bad, no, ok
from ..results import Range, parse_range
from ..selected import Selected
from ..sequence import SequenceSet
from .shape import Command, State, Updates

if TYPE_CHECKING:
    from ..session import Session

CHUNK_BYTES = 262_144
"""Responses joined into one write: large enough that system calls and TLS records do not count."""
VIEW_MESSAGES = 4096
"""Messages answered at once from what the session has: about CHUNK_BYTES of flags."""
DIGEST_MESSAGES = 512
"""Rows asked of the store at once: about CHUNK_BYTES of envelopes."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """What is wanted of which messages."""

    messages: SequenceSet
    items: tuple[Item, ...]
    uid: bool
    enables: frozenset[bytes]
    changed_since: int | None = None
    vanished: bool = False
    partial: Range | None = None


def parse(cursor: Cursor) -> Fetch:
    """`set items [(modifiers)]`."""
    cursor.space()
    messages = cursor.sequence_set()
    cursor.space()
    wanted = parse_items(cursor)
    since: list[int] = []
    vanished: list[bool] = []
    partial: list[Range] = []

    def modifier() -> None:
        name = cursor.word()
        if name == b"VANISHED" and cursor.uid:
            vanished.append(True)
        elif name == b"PARTIAL" and cursor.uid:
            cursor.space()
            partial.append(parse_range(cursor))
        elif name == b"CHANGEDSINCE":
            cursor.space()
            since.append(cursor.number())
        else:
            raise bad(b"There is no such FETCH modifier")

    if not cursor.at_end():
        cursor.space()
        cursor.items(modifier, empty=False)
    cursor.end()
    if vanished and not since:
        raise bad(b"VANISHED needs CHANGEDSINCE")
    items = wanted.items
    enables = wanted.enables
    if cursor.uid and UID_ITEM not in items:
        items = (UID_ITEM, *items)
    if since:
        enables |= {b"CONDSTORE"}
        if MODSEQ_ITEM not in items:
            items = (*items, MODSEQ_ITEM)
    return Fetch(
        messages,
        items,
        cursor.uid,
        enables,
        since[-1] if since else None,
        bool(vanished),
        partial[-1] if partial else None,
    )


async def run(session: Session, request: Fetch) -> Reply:
    """Answers; sets SEEN first where an item asks for that."""
    if request.vanished and b"QRESYNC" not in session.enabled:
        raise bad(b"QRESYNC is to be enabled first")
    for name in request.enables:
        await session.enable(name)
    box = session.box()
    positions = box.pick(request.messages, uid=request.uid)
    if request.partial is not None:
        positions = list(request.partial.slice(positions))
    if request.changed_since is not None:
        positions = [at for at in positions if box.modseqs[at] > request.changed_since]
        if request.vanished:
            for line in serialize_earlier(await box.vanished_since(request.messages, request.changed_since)):
                await session.send(line)
    items = request.items
    if any(item.sets_seen for item in items) and await _set_seen(box, positions):
        # RFC 9051 §6.4.5: the changed flags belong into these responses.
        items = items if FLAGS_ITEM in items else (*items, FLAGS_ITEM)
        if box.with_modseq:
            # RFC 7162 §3.2.4: flags that changed are told with UID and MODSEQ.
            items = (*items, *(item for item in (UID_ITEM, MODSEQ_ITEM) if item not in items))
    missing = len(positions)
    waiting: list[bytes] = []
    size_bytes = 0
    async for batch in _batches(box, positions, items):
        missing -= len(batch.positions)
        waiting.append(b"".join(render(batch, items)))
        size_bytes += len(waiting[-1])
        if size_bytes >= CHUNK_BYTES:
            await session.send(b"".join(waiting))
            waiting, size_bytes = [], 0
    await session.send(b"".join(waiting))
    if not any(item.partial for item in items):
        box.kept = None
    if missing:
        await _explain(box, positions, uid=request.uid)
    return ok(b"FETCH completed")


async def _set_seen(box: Selected, positions: Sequence[int]) -> bool:
    """Whether any flag changed. A read-only mailbox stays as it is (RFC 9051 §6.3.3)."""
    unseen = [box.uids[at] for at in positions if not box.flags[at] & Flag.SEEN]
    if box.read_only or not unseen:
        return False
    stored = await box.account.store_flags(box.mailbox.mailbox_id, unseen, FlagChange.ADD, Flag.SEEN)
    box.stored(stored, tell=False)
    return bool(stored.messages)


async def _batches(box: Selected, positions: Sequence[int], items: Sequence[Item]) -> AsyncIterator[Batch]:
    """What the items need, in batches. Messages that are gone or damaged are left out."""
    columns = tuple(dict.fromkeys(column for item in items for column in item.columns))
    if any(item.letter for item in items):
        async for batch in _with_letters(box, positions, columns):
            yield batch
    elif columns:
        for start in range(0, len(positions), DIGEST_MESSAGES):
            uids = [box.uids[at] for at in positions[start : start + DIGEST_MESSAGES]]
            yield await _with_digests(box, uids, columns)
    else:
        for start in range(0, len(positions), VIEW_MESSAGES):
            yield Batch(box, positions[start : start + VIEW_MESSAGES])


async def _with_digests(box: Selected, uids: Sequence[int], columns: tuple[str, ...]) -> Batch:
    rows = await box.account.digests(box.mailbox.mailbox_id, uids, columns)
    by_column: list[Sequence[object]] = list(zip(*rows, strict=True)) if rows else [()] * (1 + len(columns))
    found = [box.index(uid) for uid in by_column[0] if isinstance(uid, int)]
    return Batch(box, found, dict(zip(columns, by_column[1:], strict=True)))


async def _with_letters(
    box: Selected, positions: Sequence[int], columns: tuple[str, ...]
) -> AsyncIterator[Batch]:
    uids = [box.uids[at] for at in positions]
    async for chunk in _letters(box, uids):
        whole = {uid: letter for uid, letter in chunk if letter is not None}
        if not whole:
            continue
        if not columns:
            yield Batch(box, [box.index(uid) for uid in whole], letters=list(whole.values()))
            continue
        batch = await _with_digests(box, list(whole), columns)
        yield Batch(box, batch.positions, batch.columns, [whole[box.uids[at]] for at in batch.positions])


async def _letters(box: Selected, uids: Sequence[int]) -> AsyncIterator[Sequence[tuple[int, bytes | None]]]:
    """From the store. Clients fetch large letters piece by piece: those of one message are read once."""
    if box.kept is not None and list(uids) == [box.kept[0]]:
        yield [box.kept]
        return
    async for chunk in box.account.letters(box.mailbox.mailbox_id, uids):
        yield chunk
        if len(uids) == 1 and chunk and chunk[0][1] is not None:
            box.kept = (chunk[0][0], chunk[0][1])


async def _explain(box: Selected, positions: Sequence[int], *, uid: bool) -> None:
    """Why some messages were not answered: expunged by others (RFC 2180 §4.1.2), or damaged in the store. UIDs need not
    exist (RFC 9051 §6.4.9)."""
    await box.refresh()
    if any(box.is_gone(at) for at in positions):
        if uid:
            return
        raise no(b"Some of the messages no longer exist", b"EXPUNGEISSUED")
    raise no(b"Some of the messages are damaged on the server", b"SERVERBUG")


COMMAND = Command(
    b"FETCH", State.SELECTED, parse, run, updates=Updates.NO_EXPUNGE, uid_form=True, numbered=True
)
