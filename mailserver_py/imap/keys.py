"""SEARCH keys: RFC 9051 §6.4.4, RFC 3501's NEW/OLD/RECENT, WITHIN (RFC 5032), MODSEQ (RFC 7162 §3.1.5). One row each.

A row reads its arguments and makes a test. Strings match as substrings of decoded text, in any case.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

from ..mailstore.values import SAVED_AT, Flag
from ..message.header import find_header_end, parse_fields
from ..message.mime import parse_structure
from ..message.text import search_text, surely_lacks
from ..message.words import decode_text
from .collation import casemap
from .cursor import Cursor
from .dates import day_of
from .program import All, Either, Facts, Needs, Node, Not, Test, wanted_text
from .replies import bad, no
from .sequence import MAX_NUMBER

CHARSETS = (b"US-ASCII", b"UTF-8")
"""What RFC 9051 §6.4.4 asks for; all clients of today send UTF-8."""

KEYS_MAX_COUNT = 1000
"""Keys in one program; each costs work for every message."""


@dataclass(slots=True)
class Asked:
    """What a key may look at while it is read: the command so far, and the time."""

    cursor: Cursor
    now_s: int
    charset: str = "utf-8"
    count: int = 0
    enables: set[bytes] = field(default_factory=set)

    def text(self) -> str:
        """An astring in the command's charset, folded for comparing."""
        try:
            return casemap(self.cursor.astring().decode(self.charset))
        except UnicodeError:
            raise bad(b"The string is not in the charset") from None


@dataclass(frozen=True, slots=True)
class Key:
    """One key that SEARCH knows."""

    name: bytes
    make: Callable[[Asked], Node]
    capability: bytes = b""
    enables: bytes = b""


EVERYTHING = Test(Needs.VIEW, lambda facts: True)
NOTHING = Test(Needs.VIEW, lambda facts: False)


def _constant(node: Node) -> Callable[[Asked], Node]:
    return lambda asked: node


def _flag(flag: Flag, *, wanted: bool) -> Callable[[Asked], Node]:
    bit = int(flag)
    return _constant(Test(Needs.VIEW, lambda facts: bool(facts.box.flags[facts.at] & bit) is wanted))


def _keyword(*, wanted: bool) -> Callable[[Asked], Node]:
    def make(asked: Asked) -> Node:
        asked.cursor.space()
        name = asked.cursor.atom().decode("ascii").lower()
        return Test(
            Needs.VIEW, lambda facts: (name in facts.box.keywords[facts.at].lower().split()) is wanted
        )

    return make


def _received(matches: Callable[[date, date], bool]) -> Callable[[Asked], Node]:
    def make(asked: Asked) -> Node:
        asked.cursor.space()
        day = asked.cursor.date()
        return Test(Needs.VIEW, lambda facts: matches(day_of(facts.box.received[facts.at]), day))

    return make


def _sent(matches: Callable[[date, date], bool]) -> Callable[[Asked], Node]:
    def make(asked: Asked) -> Node:
        asked.cursor.space()
        day = asked.cursor.date()

        def holds(facts: Facts) -> bool:
            sent = facts.sent_on()
            return sent is not None and matches(sent, day)

        return Test(Needs.DIGEST, holds, ("envelope",))

    return make


def _saved(matches: Callable[[date, date], bool]) -> Callable[[Asked], Node]:
    """RFC 8514 §4.3."""

    def make(asked: Asked) -> Node:
        asked.cursor.space()
        day = asked.cursor.date()
        return Test(Needs.DIGEST, lambda facts: matches(day_of(facts.saved_at_s), day), (SAVED_AT,))

    return make


def _size(matches: Callable[[int, int], bool]) -> Callable[[Asked], Node]:
    def make(asked: Asked) -> Node:
        asked.cursor.space()
        size_bytes = asked.cursor.number()
        return Test(Needs.VIEW, lambda facts: matches(facts.box.sizes[facts.at], size_bytes))

    return make


def _within(*, younger: bool) -> Callable[[Asked], Node]:
    """RFC 5032 §2: the interval counts back from now, in seconds."""

    def make(asked: Asked) -> Node:
        asked.cursor.space()
        since_s = asked.now_s - asked.cursor.number()
        if younger:
            return Test(Needs.VIEW, lambda facts: facts.box.received[facts.at] >= since_s)
        return Test(Needs.VIEW, lambda facts: facts.box.received[facts.at] <= since_s)

    return make


def _address(name: str) -> Callable[[Asked], Node]:
    def make(asked: Asked) -> Node:
        asked.cursor.space()
        wanted = wanted_text(asked.text())
        return Test(Needs.DIGEST, lambda facts: facts.mentions(name, wanted), ("envelope",))

    return make


def _subject(asked: Asked) -> Node:
    asked.cursor.space()
    text = asked.text()
    return Test(Needs.DIGEST, lambda facts: text in casemap(facts.subject), ("subject",))


def _header(asked: Asked) -> Node:
    asked.cursor.space()
    name = asked.cursor.astring()
    asked.cursor.space()
    text = asked.text()
    lowered = name.lower()

    def holds(facts: Facts) -> bool:
        end = find_header_end(facts.letter)
        if lowered not in facts.letter[:end].lower():
            return False  # most letters lack most fields, and this is fifty times cheaper than reading them
        fields = parse_fields(facts.letter, 0, end).all(name)
        return any(text in casemap(decode_text(field.raw_value)) for field in fields)

    return Test(Needs.LETTER, holds)


def _body(asked: Asked) -> Node:
    asked.cursor.space()
    text = asked.text()
    return Test(Needs.LETTER, lambda facts: _in_letter(facts.letter, text, header=False))


def _text(asked: Asked) -> Node:
    asked.cursor.space()
    text = asked.text()
    return Test(Needs.LETTER, lambda facts: _in_letter(facts.letter, text, header=True))


def _in_letter(letter: bytes, text: str, *, header: bool) -> bool:
    if surely_lacks(letter, text):
        return False
    root = parse_structure(letter)
    return any(text in casemap(piece) for piece in search_text(letter, root, with_header=header))


def _numbers(asked: Asked, *, uid: bool) -> Node:
    """A set of messages; sequence numbers mean the messages that had them when the search began (RFC 5267 §4.3), UIDs
    also those that come later."""
    wanted = asked.cursor.sequence_set()
    chosen: list[frozenset[int]] = []
    changing = uid and not wanted.saved
    last_seen = [-1]

    def holds(facts: Facts) -> bool:
        box = facts.box
        last = box.uids[-1] if box.uids else 0
        if not chosen or (changing and last_seen[0] != last):
            last_seen[0] = last
            chosen[:] = [frozenset(box.uids[at] for at in box.pick(wanted, uid=uid, lenient=True))]
        return box.uids[facts.at] in chosen[0]

    return Test(Needs.VIEW, holds)


def _uid(asked: Asked) -> Node:
    asked.cursor.space()
    return _numbers(asked, uid=True)


def _uid_beyond(*, after: bool) -> Callable[[Asked], Node]:
    """RFC 9738 §3.2."""

    def make(asked: Asked) -> Node:
        asked.cursor.space()
        uid = asked.cursor.number(MAX_NUMBER)
        return Test(
            Needs.VIEW,
            lambda facts: facts.box.uids[facts.at] > uid if after else facts.box.uids[facts.at] < uid,
        )

    return make


def _not(asked: Asked) -> Node:
    asked.cursor.space()
    return Not(parse_key(asked))


def _or(asked: Asked) -> Node:
    asked.cursor.space()
    one = parse_key(asked)
    asked.cursor.space()
    return Either(one, parse_key(asked))


def _modseq(asked: Asked) -> Node:
    """`MODSEQ [entry type] n` (RFC 7162 §3.1.5); there is one MODSEQ for a message, so the entry does not matter."""
    asked.cursor.space()
    if asked.cursor.peek() == b'"':
        asked.cursor.string()
        asked.cursor.space()
        if asked.cursor.word() not in {b"PRIV", b"SHARED", b"ALL"}:
            raise bad(b"Expected priv, shared or all")
        asked.cursor.space()
    modseq = asked.cursor.number()
    return Test(Needs.VIEW, lambda facts: facts.box.modseqs[facts.at] >= modseq)


_OBJECT_ID = re.compile(rb"[A-Za-z0-9_-]{1,255}")


def _object_id(asked: Asked) -> bytes:
    asked.cursor.space()
    value = asked.cursor.atom()
    if not _OBJECT_ID.fullmatch(value):
        raise bad(b"Expected an object id")
    return value


def _email_id(asked: Asked) -> Node:
    wanted = _object_id(asked)
    return Test(Needs.VIEW, lambda facts: facts.box.email_id(facts.at) == wanted)


def _thread_id(asked: Asked) -> Node:
    """RFC 8474 §5.2: no message has a THREADID here, so none matches."""
    _object_id(asked)
    return NOTHING


KEYS: tuple[Key, ...] = (
    Key(b"ALL", _constant(EVERYTHING)),
    Key(b"ANSWERED", _flag(Flag.ANSWERED, wanted=True)),
    Key(b"BCC", _address("bcc")),
    Key(b"BEFORE", _received(lambda on, day: on < day)),
    Key(b"BODY", _body),
    Key(b"CC", _address("cc")),
    Key(b"DELETED", _flag(Flag.DELETED, wanted=True)),
    Key(b"DRAFT", _flag(Flag.DRAFT, wanted=True)),
    Key(b"FLAGGED", _flag(Flag.FLAGGED, wanted=True)),
    Key(b"FROM", _address("from")),
    Key(b"HEADER", _header),
    Key(b"KEYWORD", _keyword(wanted=True)),
    Key(b"LARGER", _size(lambda size, than: size > than)),
    Key(b"NOT", _not),
    Key(b"ON", _received(lambda on, day: on == day)),
    Key(b"OR", _or),
    Key(b"SEEN", _flag(Flag.SEEN, wanted=True)),
    Key(b"SENTBEFORE", _sent(lambda on, day: on < day)),
    Key(b"SENTON", _sent(lambda on, day: on == day)),
    Key(b"SENTSINCE", _sent(lambda on, day: on >= day)),
    Key(b"SINCE", _received(lambda on, day: on >= day)),
    Key(b"SMALLER", _size(lambda size, than: size < than)),
    Key(b"SUBJECT", _subject),
    Key(b"TEXT", _text),
    Key(b"TO", _address("to")),
    Key(b"UID", _uid),
    Key(b"UIDAFTER", _uid_beyond(after=True)),
    Key(b"UIDBEFORE", _uid_beyond(after=False)),
    Key(b"UNANSWERED", _flag(Flag.ANSWERED, wanted=False)),
    Key(b"UNDELETED", _flag(Flag.DELETED, wanted=False)),
    Key(b"UNDRAFT", _flag(Flag.DRAFT, wanted=False)),
    Key(b"UNFLAGGED", _flag(Flag.FLAGGED, wanted=False)),
    Key(b"UNKEYWORD", _keyword(wanted=False)),
    Key(b"UNSEEN", _flag(Flag.SEEN, wanted=False)),
    # RFC 3501 §6.4.4; nothing is ever \Recent here (`imap.flags`), so these follow from that.
    Key(b"NEW", _constant(NOTHING)),
    Key(b"OLD", _constant(EVERYTHING)),
    Key(b"RECENT", _constant(NOTHING)),
    Key(b"OLDER", _within(younger=False), capability=b"WITHIN"),
    Key(b"YOUNGER", _within(younger=True), capability=b"WITHIN"),
    Key(b"SAVEDBEFORE", _saved(lambda on, day: on < day), capability=b"SAVEDATE"),
    Key(b"SAVEDON", _saved(lambda on, day: on == day)),
    Key(b"SAVEDSINCE", _saved(lambda on, day: on >= day)),
    Key(b"SAVEDATESUPPORTED", _constant(EVERYTHING)),
    Key(b"EMAILID", _email_id, capability=b"OBJECTID"),
    Key(b"THREADID", _thread_id),
    Key(b"MODSEQ", _modseq, capability=b"CONDSTORE", enables=b"CONDSTORE"),
)

_BY_NAME = {key.name: key for key in KEYS}


def parse_key(asked: Asked) -> Node:
    """One `search-key`."""
    cursor = asked.cursor
    asked.count += 1
    if asked.count > KEYS_MAX_COUNT:
        raise bad(b"Too many search keys")
    if cursor.peek() == b"(":
        return All(tuple(cursor.items(lambda: parse_key(asked), empty=False)))
    if cursor.peek() in b"0123456789*$" and cursor.peek():
        return _numbers(asked, uid=False)
    key = _BY_NAME.get(cursor.word())
    if key is None:
        raise bad(b"There is no such search key")
    if key.enables:
        asked.enables.add(key.enables)
    return cursor.nested(lambda: key.make(asked))


def parse_charset(cursor: Cursor) -> str:
    """A charset's name. Raises NO [BADCHARSET]."""
    charset = cursor.astring().upper()
    if charset not in CHARSETS:
        raise no(b"The charset is not known here", b"BADCHARSET (%b)" % b" ".join(CHARSETS))
    return charset.decode("ascii")


def parse_program(cursor: Cursor, now_s: int, charset: str = "") -> tuple[Node, frozenset[bytes]]:
    """`search-program`: the tree, and what its keys enable. SORT and THREAD name the charset before it."""
    asked = Asked(cursor, now_s)
    if charset:
        asked.charset = charset
    elif cursor.data[cursor.position : cursor.position + 8].upper() == b"CHARSET ":
        cursor.position += 8
        asked.charset = parse_charset(cursor)
        cursor.space()
    nodes = [parse_key(asked)]
    while not cursor.at_end():
        cursor.space()
        nodes.append(parse_key(asked))
    return All(tuple(nodes)), frozenset(asked.enables)
