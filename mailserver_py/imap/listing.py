"""LIST: RFC 9051 §6.3.9 with RFC 5258's several patterns, RFC 5819 (STATUS), RFC 6154 (SPECIAL-USE). Pure.

Selection and return options are rows of tables. An entry's attributes are always complete: computing \\HasChildren,
\\Subscribed and special uses for all costs one pass over the names, so nothing depends on having been asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ..mailstore.values import SEPARATOR, Mailbox
from .cursor import Cursor
from .names import parse_pattern, serialize_mailbox
from .patterns import Pattern
from .replies import bad
from .status_items import StatusItem, parse_status_items
from .strings import serialize_string


@dataclass(frozen=True, slots=True)
class Entry:
    """A name that LIST may return."""

    name: str
    mailbox: Mailbox | None
    """None: a level of hierarchy, or a subscription, that is no mailbox."""
    subscribed: bool
    has_children: bool


@dataclass(frozen=True, slots=True)
class SelectionOption:
    """Which names are listed."""

    name: bytes
    selects: Callable[[Entry], bool] | None
    """None: the option restricts nothing by itself."""
    capability: bytes = b""


SELECTION: tuple[SelectionOption, ...] = (
    SelectionOption(b"SUBSCRIBED", lambda entry: entry.subscribed, capability=b"LIST-EXTENDED"),
    # There are no remote mailboxes here, RFC 9051 §6.3.9.1 lets such servers ignore it.
    SelectionOption(b"REMOTE", None),
    SelectionOption(b"RECURSIVEMATCH", None),
    SelectionOption(
        b"SPECIAL-USE",
        lambda entry: entry.mailbox is not None and bool(entry.mailbox.special_use),
        capability=b"SPECIAL-USE",
    ),
)


@dataclass(frozen=True, slots=True)
class ReturnOption:
    """What is told of each name."""

    name: bytes
    capability: bytes = b""


RETURN: tuple[ReturnOption, ...] = (
    ReturnOption(b"SUBSCRIBED"),
    ReturnOption(b"CHILDREN", capability=b"CHILDREN"),
    ReturnOption(b"SPECIAL-USE"),
    ReturnOption(b"STATUS", capability=b"LIST-STATUS"),
)

_SELECTION = {option.name: option for option in SELECTION}
_RETURN = {option.name: option for option in RETURN}


@dataclass(frozen=True, slots=True)
class ListRequest:
    """A LIST command."""

    patterns: tuple[str, ...]
    selection: frozenset[bytes] = frozenset()
    returns: frozenset[bytes] = frozenset()
    status: tuple[StatusItem, ...] = ()
    extended: bool = False
    root: str | None = None
    """Not None: the basic command with an empty pattern, which asks for the separator."""


def parse_list(cursor: Cursor) -> ListRequest:
    """The arguments of LIST."""
    cursor.space()
    selection: list[bytes] = []
    extended = cursor.peek() == b"("
    if extended:
        selection = cursor.items(cursor.word)
        cursor.space()
    reference = cursor.astring()
    cursor.space()
    if cursor.peek() == b"(":
        extended = True
        raw = cursor.items(cursor.list_mailbox)
    else:
        raw = [cursor.list_mailbox()]
    returns: dict[bytes, None] = {}
    status: list[tuple[StatusItem, ...]] = []

    def option() -> None:
        name = cursor.word()
        if name not in _RETURN:
            raise bad(b"There is no such return option")
        returns[name] = None
        if name == b"STATUS":
            cursor.space()
            status.append(parse_status_items(cursor))

    if not cursor.at_end():
        cursor.space()
        if cursor.word() != b"RETURN":
            raise bad(b"Expected RETURN")
        cursor.space()
        cursor.items(option)
        cursor.end()
        extended = True
    _check_selection(selection)
    if not extended and not raw[0]:
        return ListRequest((), root=parse_pattern(reference, utf8=cursor.utf8) or "")
    patterns = [
        pattern
        for name in raw
        if name and (pattern := parse_pattern(_join(reference, name), utf8=cursor.utf8)) is not None
    ]
    return ListRequest(
        tuple(patterns), frozenset(selection), frozenset(returns), status[-1] if status else (), extended
    )


def _join(reference: bytes, name: bytes) -> bytes:
    """RFC 9051 §6.3.9: no break-out characters here, so the canonical form is one behind the other."""
    return reference + name


def _check_selection(names: Iterable[bytes]) -> None:
    if any(name not in _SELECTION for name in names):
        raise bad(b"There is no such selection option")
    if b"RECURSIVEMATCH" in names and not any(_SELECTION[name].selects for name in names):
        raise bad(b"RECURSIVEMATCH needs another selection option")


def parents(name: str) -> Iterable[str]:
    """The levels above a name, nearest first."""
    at = name.rfind(SEPARATOR)
    while at > 0:
        yield name[:at]
        at = name.rfind(SEPARATOR, 0, at)


def list_entries(mailboxes: Sequence[Mailbox], subscriptions: Sequence[str]) -> list[Entry]:
    """Every name there is to list: mailboxes, subscriptions, and the levels above them."""
    by_name: dict[str, Mailbox | None] = {box.name: box for box in mailboxes}
    subscribed = set(subscriptions)
    having = {parent for box in mailboxes for parent in parents(box.name)}
    for name in subscriptions:
        by_name.setdefault(name, None)
    for name in sorted(having):
        by_name.setdefault(name, None)
    return [Entry(name, box, name in subscribed, name in having) for name, box in by_name.items()]


@dataclass(frozen=True, slots=True)
class Found:
    """An entry to be returned, and the selection that some descendant of it meets (CHILDINFO)."""

    entry: Entry
    child_info: bool
    old_name: str = ""
    """What the client called it, when that was not its normal form (OLDNAME, RFC 9051 §6.3.9.7)."""


def select(request: ListRequest, entries: Sequence[Entry]) -> list[Found]:
    """The entries that a LIST returns (RFC 9051 §6.3.9.3)."""
    tests = [test for name in request.selection if (test := _SELECTION[name].selects) is not None]
    patterns = [Pattern(text) for text in request.patterns]
    chosen = [entry for entry in entries if tests and all(test(entry) for test in tests)]
    above = {parent for entry in chosen for parent in parents(entry.name)}
    hidden = [entry for entry in chosen if not any(pattern.matches(entry.name) for pattern in patterns)]
    above_hidden = {parent for entry in hidden for parent in parents(entry.name)}
    recursive = b"RECURSIVEMATCH" in request.selection
    names = {entry.name for entry in entries}
    if recursive:
        entries = [*entries, *(Entry(name, None, False, False) for name in sorted(above - names))]
    found: list[Found] = []
    for entry in entries:
        matching = [pattern for pattern in patterns if pattern.matches(entry.name)]
        if not matching:
            continue
        child_info = recursive and entry.name in above
        if tests:
            # RFC 9051 §6.3.9.6: for CHILDINFO alone only when the descendant itself is not returned.
            wanted = all(test(entry) for test in tests) or (recursive and entry.name in above_hidden)
        else:
            wanted = entry.mailbox is not None or (
                entry.has_children and any(pattern.wants_levels for pattern in matching)
            )
        if wanted:
            found.append(Found(entry, child_info))
    return found


def serialize_old_name(name: str, old_name: str, *, utf8: bool, attributes: bytes = b"") -> bytes:
    """LIST with OLDNAME: what a mailbox is really called (RFC 9051 §6.3.9.7); nothing when it is as it was written."""
    if not old_name:
        return b""
    return b'* LIST (%b) "%b" %b ("OLDNAME" (%b))\r\n' % (
        attributes,
        SEPARATOR.encode(),
        serialize_mailbox(name, utf8=utf8),
        serialize_mailbox(old_name, utf8=utf8),
    )


def serialize_entry(found: Found, request: ListRequest, *, utf8: bool, rev2: bool) -> bytes:
    """One LIST response (RFC 9051 §7.3.1)."""
    entry = found.entry
    attributes = []
    if entry.mailbox is None:
        # RFC 3501 clients know only \Noselect; RFC 9051 §6.3.9.4: \NonExistent implies it.
        attributes.append(b"\\NonExistent" if request.extended or rev2 else b"\\Noselect")
    attributes.append(b"\\HasChildren" if entry.has_children else b"\\HasNoChildren")
    if entry.subscribed and (b"SUBSCRIBED" in request.returns or b"SUBSCRIBED" in request.selection):
        attributes.append(b"\\Subscribed")
    if entry.mailbox is not None and entry.mailbox.special_use:
        attributes.append(entry.mailbox.special_use.encode("ascii", "replace"))
    extended = b""
    if found.child_info:
        criteria = b" ".join(
            serialize_string(name)
            for name in sorted(request.selection)
            if _SELECTION[name].selects is not None
        )
        extended = b' ("CHILDINFO" (%b))' % criteria
    elif found.old_name:
        extended = b' ("OLDNAME" (%b))' % serialize_mailbox(found.old_name, utf8=utf8)
    return b'* LIST (%b) "%b" %b%b\r\n' % (
        b" ".join(attributes),
        SEPARATOR.encode(),
        serialize_mailbox(entry.name, utf8=utf8),
        extended,
    )
