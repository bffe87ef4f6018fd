"""ENVELOPE: RFC 9051 §7.5.2. Made from a header at delivery, and read again by SEARCH.

Values stay in the octets of the letter, encoded words included; whoever searches decodes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..message.addresslist import Group, Mailbox, parse_address_list
from ..message.header import Header
from ..message.words import decode_text
from .collation import casemap
from .strings import NIL, serialize_nstring, serialize_string

ADDRESS_MEMBERS_COUNT = 4
"""Members of an address structure (RFC 9051 §7.5.2)."""

_FIELDS = ("from", "sender", "reply-to", "to", "cc", "bcc")

_TOKEN = re.compile(rb'NIL|"((?:[^"\\]++|\\.)*+)"|\{([0-9]+)\}\r\n|[()]', re.DOTALL)
_ESCAPE = re.compile(rb'\\(["\\])')


def serialize_envelope(header: Header) -> bytes:
    """The parenthesized list of a letter with this header."""
    senders = _serialize_addresses(header, b"from")
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        serialize_nstring(header.value(b"date")),
        serialize_nstring(header.value(b"subject")),
        senders,
        _serialize_addresses(header, b"sender", senders),
        _serialize_addresses(header, b"reply-to", senders),
        _serialize_addresses(header, b"to"),
        _serialize_addresses(header, b"cc"),
        _serialize_addresses(header, b"bcc"),
        serialize_nstring(header.value(b"in-reply-to")),
        serialize_nstring(header.value(b"message-id")),
    )


def _serialize_addresses(header: Header, name: bytes, default: bytes = NIL) -> bytes:
    """All fields of the name together: several are wrong (RFC 5322 §3.6), but nothing of them should be lost."""
    pieces: list[bytes] = []
    for field in header.all(name):
        for entry in parse_address_list(field.raw_value):
            if isinstance(entry, Group):
                pieces.append(b"(NIL NIL %b NIL)" % serialize_string(entry.name))
                pieces.extend(map(_serialize_mailbox, entry.mailboxes))
                pieces.append(b"(NIL NIL NIL NIL)")
            else:
                pieces.append(_serialize_mailbox(entry))
    return b"(%b)" % b"".join(pieces) if pieces else default


def _serialize_mailbox(mailbox: Mailbox) -> bytes:
    """Local part and domain are never NIL, which would mean a group; what is missing is empty."""
    return b"(%b %b %b %b)" % (
        serialize_string(mailbox.display_name) if mailbox.display_name else NIL,
        serialize_string(mailbox.route) if mailbox.route else NIL,
        serialize_string(mailbox.local),
        serialize_string(mailbox.domain),
    )


def _tokens(envelope: bytes) -> Iterator[bytes | int | None]:
    """Strings as octets, NIL as None, parentheses as +1 and -1."""
    at = 0
    while at < len(envelope):
        match = _TOKEN.search(envelope, at)
        if match is None:
            return
        at = match.end()
        quoted, size = match.groups()
        if quoted is not None:
            yield _ESCAPE.sub(rb"\1", quoted) if b"\\" in quoted else quoted
        elif size is not None:
            yield envelope[at : at + int(size)]
            at += int(size)
        else:
            yield None if match[0] == NIL else 1 if match[0] == b"(" else -1


Address = Sequence[bytes | None]
"""Name, route, local part, domain."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What SEARCH and SORT read of an envelope."""

    date: bytes | None
    addresses: Mapping[str, Sequence[Address]]
    """By lower-case field name; fields without addresses are missing."""

    def text(self, name: str) -> str:
        """An address field as one text for searching: every name and address, decoded, as texts are compared."""
        return casemap(", ".join(map(_text_of, self.addresses.get(name, ()))))

    def first_mailbox(self, name: str) -> str:
        """The local part of the first address, folded (RFC 5256 §3); empty when there is none."""
        for address in self.addresses.get(name, ()):
            return casemap(decode_text(address[2] or b""))
        return ""

    def first_display(self, name: str) -> str:
        """What a client shows of the first address: its name, else the address (RFC 5957 §3); empty when none."""
        for address in self.addresses.get(name, ()):
            display, _, local, domain = address
            where = (local or b"") + (b"@" + domain if domain else b"")
            return casemap(decode_text(display or where))
        return ""


def parse_envelope(envelope: bytes) -> Envelope:
    """Reads what `serialize_envelope` made."""
    date: bytes | None = None
    fields: dict[str, list[Address]] = {}
    depth = index = 0
    address: list[bytes | None] = []
    addresses: list[Address] = []
    for token in _tokens(envelope):
        if isinstance(token, int):
            depth += token
            if token == -1 and depth == 2:
                if len(address) == ADDRESS_MEMBERS_COUNT:
                    addresses.append(address)
                address = []
            elif token == -1 and depth == 1:
                fields[_FIELDS[index - 2]] = addresses
                addresses = []
                index += 1
        elif depth == 3:
            address.append(token)
        else:
            date = token if index == 0 else date
            index += 1
    return Envelope(date, fields)


def _text_of(address: Address) -> str:
    """`Name <local@domain>`."""
    name, _, local, domain = address
    where = decode_text((local or b"") + (b"@" + domain if domain else b""))
    return f"{decode_text(name)} <{where}>" if name else where
