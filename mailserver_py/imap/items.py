"""FETCH items: RFC 9051 §6.4.5 and §7.5.2, RFC 3501's RFC822 forms, BINARY (RFC 3516), MODSEQ (RFC 7162). One
row each.

A row reads what follows the item's name and makes an `Item`: a piece of a format, and a function from a batch of
messages to the column of values for it. A FETCH response of thousands of messages is then one format applied to
columns side by side. What an item needs (digest columns, whole letters) it says, so that nothing else is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import cast

from ..mailstore.values import SAVED_AT
from .cursor import Cursor
from .dates import serialize_date_time
from .flags import serialize_flags
from .preview import derive_preview
from .replies import bad
from .sections import Section, Text, extract, extract_binary, parse_section, slice_partial
from .selected import Selected
from .strings import NIL, serialize_literal, serialize_literal8, serialize_string

_NAME = re.compile(rb"[A-Za-z0-9.]+")


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages that are answered together; all sequences run side by side."""

    box: Selected
    positions: Sequence[int]
    columns: dict[str, Sequence[object]] = field(default_factory=dict)
    letters: Sequence[bytes] = ()

    def column(self, name: str) -> Sequence[bytes]:
        """A digest column of octets."""
        return cast("Sequence[bytes]", self.columns[name])


@dataclass(frozen=True, slots=True)
class Item:
    """One item of one FETCH command."""

    form: bytes
    """With one `%` directive for the value."""
    values: Callable[[Batch], Iterable[object]]
    columns: tuple[str, ...] = ()
    letter: bool = False
    sets_seen: bool = False
    partial: bool = False
    """It asks for a piece; the next one will be asked for soon."""


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One item that FETCH knows."""

    name: bytes
    make: Callable[[Cursor], Item]
    capability: bytes = b""
    enables: bytes = b""


def _fixed(
    form: bytes, values: Callable[[Batch], Iterable[object]], *columns: str
) -> Callable[[Cursor], Item]:
    item = Item(form, values, columns)
    return lambda cursor: item


def _flags(batch: Batch) -> Iterable[object]:
    flags, keywords = batch.box.flags, batch.box.keywords
    return [serialize_flags(flags[at], keywords[at]) for at in batch.positions]


def _uids(batch: Batch) -> Iterable[object]:
    return [batch.box.uids[at] for at in batch.positions]


def _sizes(batch: Batch) -> Iterable[object]:
    return [batch.box.sizes[at] for at in batch.positions]


def _modseqs(batch: Batch) -> Iterable[object]:
    return [max(1, batch.box.modseqs[at]) for at in batch.positions]


def _email_ids(batch: Batch) -> Iterable[object]:
    return [batch.box.email_id(at) for at in batch.positions]


def _internal_dates(batch: Batch) -> Iterable[object]:
    return [serialize_date_time(batch.box.received[at]) for at in batch.positions]


def _section_item(label: bytes, section: Section, *, sets_seen: bool) -> Item:
    """BODY[…] and its older names."""
    form = label.replace(b"%", b"%%") + b" %b"
    columns: tuple[str, ...] = ()
    if section.needs_parts:
        columns = ("parts",)
    elif section.text is not Text.ALL:
        columns = ("header_bytes",)

    def values(batch: Batch) -> Iterable[object]:
        count = len(batch.letters)
        parts = batch.column("parts") if section.needs_parts else [b""] * count
        headers = batch.columns["header_bytes"] if "header_bytes" in columns else [0] * count
        for letter, header_bytes, offsets in zip(batch.letters, headers, parts, strict=True):
            assert isinstance(header_bytes, int)
            data = extract(letter, header_bytes, offsets, section)
            yield NIL if data is None else serialize_literal(slice_partial(data, section))

    return Item(form, values, columns, letter=True, sets_seen=sets_seen, partial=section.length >= 0)


def _body(cursor: Cursor) -> Item:
    """BODY alone is the structure; with a section it is text, and sets SEEN."""
    if cursor.peek() != b"[":
        return _BODY_STRUCTURE(cursor)
    section = parse_section(cursor)
    return _section_item(b"BODY" + section.serialize(), section, sets_seen=True)


_BODY_STRUCTURE = _fixed(b"BODY %b", lambda batch: batch.column("body"), "body")


def _body_peek(cursor: Cursor) -> Item:
    section = parse_section(cursor)
    return _section_item(b"BODY" + section.serialize(), section, sets_seen=False)


def _old(name: bytes, text: Text, *, sets_seen: bool) -> Callable[[Cursor], Item]:
    """RFC 3501 §6.4.5: RFC822 and its kin, equal to a BODY section but for the name."""
    return lambda cursor: _section_item(name, Section(text=text), sets_seen=sets_seen)


def _binary(*, sets_seen: bool) -> Callable[[Cursor], Item]:
    def make(cursor: Cursor) -> Item:
        section = parse_section(cursor, binary=True)
        label = b"BINARY" + section.serialize()

        def values(batch: Batch) -> Iterable[object]:
            for letter, offsets in zip(batch.letters, batch.column("parts"), strict=True):
                data = extract_binary(letter, offsets, section)
                if data is None:
                    yield NIL
                    continue
                data = slice_partial(data, section)
                # RFC 9051 §7.5.2: a plain string tells the client that there is no NUL.
                yield serialize_literal8(data) if b"\0" in data else serialize_literal(data)

        return Item(label + b" %b", values, ("parts",), True, sets_seen, section.length >= 0)

    return make


def _binary_size(cursor: Cursor) -> Item:
    section = parse_section(cursor, binary=True, partial=False)

    def values(batch: Batch) -> Iterable[object]:
        for letter, offsets in zip(batch.letters, batch.column("parts"), strict=True):
            yield len(extract_binary(letter, offsets, section) or b"")

    return Item(b"BINARY.SIZE" + section.serialize() + b" %d", values, ("parts",), letter=True)


def _save_dates(batch: Batch) -> Iterable[object]:
    """RFC 8514 §4.2."""
    return [serialize_date_time(cast("int", at_s)) for at_s in batch.columns[SAVED_AT]]


_LAZY = re.compile(rb" \(LAZY\)", re.IGNORECASE)


def _preview(cursor: Cursor) -> Item:
    """RFC 8970 §6; FETCH's own modifiers also come in parentheses, hence the look at the word."""
    match = _LAZY.match(cursor.data, cursor.position)
    if match is not None:
        cursor.position = match.end()

    def values(batch: Batch) -> Iterable[object]:
        return [
            serialize_string(derive_preview(letter).encode("utf-8", "replace")) for letter in batch.letters
        ]

    return Item(b"PREVIEW %b", values, letter=True)


FLAGS_ITEM = Item(b"FLAGS (%b)", _flags)
UID_ITEM = Item(b"UID %d", _uids)
MODSEQ_ITEM = Item(b"MODSEQ (%d)", _modseqs)

ITEMS: tuple[ItemRow, ...] = (
    ItemRow(b"UID", lambda cursor: UID_ITEM),
    ItemRow(b"FLAGS", lambda cursor: FLAGS_ITEM),
    ItemRow(b"INTERNALDATE", _fixed(b'INTERNALDATE "%b"', _internal_dates)),
    ItemRow(b"RFC822.SIZE", _fixed(b"RFC822.SIZE %d", _sizes)),
    ItemRow(b"ENVELOPE", _fixed(b"ENVELOPE %b", lambda batch: batch.column("envelope"), "envelope")),
    ItemRow(
        b"BODYSTRUCTURE",
        _fixed(b"BODYSTRUCTURE %b", lambda batch: batch.column("bodystructure"), "bodystructure"),
    ),
    ItemRow(b"BODY", _body),
    ItemRow(b"BODY.PEEK", _body_peek),
    ItemRow(b"RFC822", _old(b"RFC822", Text.ALL, sets_seen=True)),
    ItemRow(b"RFC822.HEADER", _old(b"RFC822.HEADER", Text.HEADER, sets_seen=False)),
    ItemRow(b"RFC822.TEXT", _old(b"RFC822.TEXT", Text.TEXT, sets_seen=True)),
    ItemRow(b"BINARY", _binary(sets_seen=True)),
    ItemRow(b"BINARY.PEEK", _binary(sets_seen=False)),
    ItemRow(b"BINARY.SIZE", _binary_size),
    ItemRow(b"PREVIEW", _preview, capability=b"PREVIEW"),
    ItemRow(b"SAVEDATE", _fixed(b'SAVEDATE "%b"', _save_dates, SAVED_AT), capability=b"SAVEDATE"),
    ItemRow(b"EMAILID", _fixed(b"EMAILID (%b)", _email_ids), capability=b"OBJECTID"),
    # RFC 8474 §5.2: a server that relates no messages says so.
    ItemRow(b"THREADID", _fixed(b"THREADID %b", lambda batch: [NIL] * len(batch.positions))),
    ItemRow(b"MODSEQ", lambda cursor: MODSEQ_ITEM, capability=b"CONDSTORE", enables=b"CONDSTORE"),
)

_BY_NAME = {row.name: row for row in ITEMS}

MACROS: dict[bytes, tuple[bytes, ...]] = {
    b"ALL": (b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"ENVELOPE"),
    b"FAST": (b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE"),
    b"FULL": (b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"ENVELOPE", b"BODY"),
}
"""RFC 9051 §6.4.5."""

ITEMS_MAX_COUNT = 512
"""Items in one FETCH; each costs work for every message."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The items of one command."""

    items: tuple[Item, ...]
    enables: frozenset[bytes]


def parse_items(cursor: Cursor) -> Wanted:
    """A macro, an item, or a list of items; repeated ones count once."""
    enables: set[bytes] = set()
    found: dict[bytes, Item] = {}

    def one() -> None:
        match = _NAME.match(cursor.data, cursor.position)
        row = _BY_NAME.get(match[0].upper()) if match else None
        if match is None or row is None:
            raise bad(b"There is no such FETCH item")
        cursor.position = match.end()
        item = row.make(cursor)
        found.setdefault(item.form, item)
        if item.sets_seen:
            found[item.form] = item
        if row.enables:
            enables.add(row.enables)
        if len(found) > ITEMS_MAX_COUNT:
            raise bad(b"Too many FETCH items")

    if cursor.peek() == b"(":
        cursor.items(one, empty=False)
    else:
        match = _NAME.match(cursor.data, cursor.position)
        macro = MACROS.get(match[0].upper()) if match else None
        if match is not None and macro is not None:
            cursor.position = match.end()
            return Wanted(tuple(_BY_NAME[name].make(Cursor(b"")) for name in macro), frozenset())
        one()
    return Wanted(tuple(found.values()), frozenset(enables))


def render(batch: Batch, items: Sequence[Item]) -> Iterable[bytes]:
    """One FETCH response for each message of the batch; UIDFETCH for who knows no sequence numbers (RFC 9586 §3.3)."""
    if batch.box.uid_only:
        items = [item for item in items if item is not UID_ITEM] or [UID_ITEM]
        form = b"* %d UIDFETCH (" + b" ".join([item.form for item in items]) + b")\r\n"
        numbers = [batch.box.uids[at] for at in batch.positions]
    else:
        form = b"* %d FETCH (" + b" ".join([item.form for item in items]) + b")\r\n"
        numbers = [at + 1 for at in batch.positions]
    return map(form.__mod__, zip(numbers, *[item.values(batch) for item in items], strict=True))
