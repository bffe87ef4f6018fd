"""Address lists of From, To, Cc and their kin: RFC 5322 §3.4 and §4.4, read as leniently as mail is written.

Octets are kept as they stand, encoded words included, because that is what IMAP's ENVELOPE hands out;
`Mailbox.display_text` is what people read. Nothing is refused: what has no `@` is a mailbox without a domain.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .tokens import skip_comment, unquote
from .words import decode_text

MAILBOX_COUNT_LIMIT = 10_000
"""Mailboxes and groups read of one field, Postfix's number for address tokens; the rest is left out."""

VALUE_BYTES_LIMIT = 1_048_576
"""How much of one field is read: MAILBOX_COUNT_LIMIT addresses of a hundred octets."""

_TOKEN = re.compile(
    rb"(?P<space>[ \t\r\n]++)"
    rb"|(?P<atom>[^\s()<>\[\]:;@\\,.\"]++)"
    rb'|"(?P<quoted>(?:[^"\\]++|\\.)*+)"?+'
    rb"|(?P<literal>\[(?:[^\[\]\\]++|\\.)*+\]?+)"
    rb"|(?P<comment>\()"
    rb"|(?P<sign>,[,\s]*+|.)",
    re.DOTALL,
)
_WORD = rb"[^\s()<>\[\]:;@\\,.\"]++"
_SIMPLE = re.compile(
    rb'\s*+(?:"(?P<quoted>[^"\\\r\n]*+)"\s*+<|(?P<phrase>(?:%b\s*+)*+)<)?+'
    rb"(?P<local>%b(?:\.%b)*+)@(?P<domain>[A-Za-z0-9\-.]++)(?P<close>>?+)\s*+" % (_WORD, _WORD, _WORD)
)


class Mailbox(NamedTuple):
    """One mailbox, in raw octets."""

    display_name: bytes
    """Phrase without its quotes, or the comment behind the address; words one space apart; may be empty."""
    local: bytes
    """Without quoting."""
    domain: bytes
    """Address literals with their brackets; empty when there is none."""
    route: bytes = b""
    """`@one,@two`: the obsolete source route (§4.4)."""

    @property
    def display_text(self) -> str:
        """The display name as people read it."""
        return decode_text(self.display_name)

    @property
    def address(self) -> str:
        """`local@domain` as text, unquoted; for showing and searching, not for comparing accounts."""
        text = self.local + b"@" + self.domain if self.domain else self.local
        return text.decode("utf-8", "replace")


class Group(NamedTuple):
    """A named group; often an empty one, `undisclosed-recipients:;`."""

    name: bytes
    mailboxes: tuple[Mailbox, ...]


def parse_address_list(raw: bytes) -> tuple[Mailbox | Group, ...]:
    """What a field's value lists, in order. Never raises."""
    match = _SIMPLE.fullmatch(raw)
    if match is not None:
        quoted, phrase, local, domain, close = match.groups()
        if (quoted is None and phrase is None) != bool(close):
            name = quoted if quoted is not None else b" ".join((phrase or b"").split())
            return (Mailbox(name, local, domain),)
    return _Reader(raw[:VALUE_BYTES_LIMIT]).read()


def mailboxes_of(entries: tuple[Mailbox | Group, ...]) -> tuple[Mailbox, ...]:
    """All mailboxes, those in groups included."""
    found: list[Mailbox] = []
    for entry in entries:
        if isinstance(entry, Group):
            found.extend(entry.mailboxes)
        else:
            found.append(entry)
    return tuple(found)


class _Reader:
    """One pass over the tokens of a value."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.entries: list[Mailbox | Group] = []
        self.members: list[Mailbox] = []
        self.group_name: bytes | None = None
        """Of the group that is open."""
        self.count = 0
        self.clear()

    def clear(self) -> None:
        """Before the next mailbox."""
        self.before: list[bytes] = []
        """Pieces outside angle brackets, a space in front where there was one."""
        self.inside: list[bytes] | None = None
        """Pieces inside angle brackets, once they opened."""
        self.at_index = -1
        """Where in the pieces (inside, or outside without brackets) the last @ is."""
        self.in_angle = False
        self.route = b""
        self.comment = b""

    def read(self) -> tuple[Mailbox | Group, ...]:
        raw = self.raw
        at, end = 0, len(raw)
        spaced = False
        match_token = _TOKEN.match
        while at < end and self.count < MAILBOX_COUNT_LIMIT:
            match = match_token(raw, at)
            assert match is not None
            kind, at = match.lastgroup, match.end()
            if kind == "space":
                spaced = True
                continue
            if kind == "comment":
                at = skip_comment(raw, match.start())
                self.comment = raw[match.start() + 1 : at].removesuffix(b")")
                spaced = True
                continue
            if kind == "sign":
                self.sign(match[0][:1], spaced)
            else:
                self.add(unquote(match["quoted"]) if kind == "quoted" else match[0], spaced)
            spaced = False
        self.finish_mailbox()
        self.finish_group()
        return tuple(self.entries)

    def add(self, piece: bytes, spaced: bool) -> None:
        if self.in_angle and self.inside is not None:
            self.inside.append(b" " + piece if spaced and self.inside else piece)
        elif self.inside is None:
            self.before.append(b" " + piece if spaced and self.before else piece)

    def sign(self, sign: bytes, spaced: bool) -> None:
        if self.in_angle:
            self.sign_inside(sign)
        elif sign == b",":
            self.finish_mailbox()
        elif sign == b";":
            self.finish_mailbox()
            self.finish_group()
        elif sign == b":" and self.group_name is None and self.inside is None:
            self.group_name = b"".join(self.before)
            self.clear()
        elif sign == b"<" and self.inside is None:
            self.inside, self.in_angle, self.at_index = [], True, -1
        else:
            if sign == b"@" and self.inside is None:
                self.at_index = len(self.before)
            self.add(sign, spaced)

    def sign_inside(self, sign: bytes) -> None:
        pieces = self.inside
        assert pieces is not None
        if sign == b">":
            self.in_angle = False
        elif sign == b":" and self.at_index == 0:
            self.route = b"".join(pieces)
            pieces.clear()
            self.at_index = -1
        elif sign == b"," and not (pieces and pieces[0] == b"@"):
            # The bracket was never closed.
            self.in_angle = False
            self.sign(sign, spaced=False)
        else:
            if sign == b"@" and not (pieces and pieces[0] == b"@"):
                self.at_index = len(pieces)
            pieces.append(sign)

    def finish_mailbox(self) -> None:
        name, pieces = b"".join(self.before), self.inside
        if pieces is None:
            pieces, name = self.before, self.comment
        elif not name:
            name = self.comment
        if self.at_index >= 0:
            local, domain = _join(pieces[: self.at_index]), _join(pieces[self.at_index + 1 :])
        else:
            local, domain = _join(pieces), b""
        if local or domain or (self.inside is not None and name):
            self.count += 1
            name = b" ".join(name.split())
            target = self.entries if self.group_name is None else self.members
            target.append(Mailbox(name, local, domain, self.route))
        self.clear()

    def finish_group(self) -> None:
        if self.group_name is not None:
            self.count += 1
            self.entries.append(Group(b" ".join(self.group_name.split()), tuple(self.members)))
            self.group_name = None
            self.members = []


def _join(pieces: list[bytes]) -> bytes:
    """Pieces of a local part or a domain; white space around dots means nothing (§4.4)."""
    joined = [
        piece.lstrip(b" ") if piece == b" ." or (index and pieces[index - 1] in (b".", b" .")) else piece
        for index, piece in enumerate(pieces)
    ]
    return b"".join(joined).strip()
