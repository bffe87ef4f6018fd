"""Where every MIME part of a letter lies (`Digest.parts`), and section numbers: RFC 9051 §6.4.5.1.

The form is a preorder list of nodes, five little-endian 32-bit numbers each: kind and encoding, start of the MIME
header, start of the body, end, count of children. The first node is the letter itself. A node of kind MESSAGE has one
child: the enclosed letter.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

_NODE = struct.Struct("<5I")


class Kind(IntEnum):
    """What a node holds."""

    LEAF = 0
    MULTIPART = 1
    MESSAGE = 2
    TEXT = 3
    """A leaf of lines (RFC 9051 §7.5.2: BINARY sends those with CRLF)."""


class Encoding(IntEnum):
    """Content-Transfer-Encoding (RFC 2045 §6)."""

    IDENTITY = 0
    QUOTED_PRINTABLE = 1
    BASE64 = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Node:
    """One part."""

    kind: Kind
    encoding: Encoding
    start: int
    body_start: int
    end: int
    children: Sequence[Node]


def serialize_parts(root: Node) -> bytes:
    """The compact form."""
    packed: list[bytes] = []
    waiting = [root]
    while waiting:
        node = waiting.pop()
        packed.append(
            _NODE.pack(
                node.kind | node.encoding << 8, node.start, node.body_start, node.end, len(node.children)
            )
        )
        waiting.extend(reversed(node.children))
    return b"".join(packed)


def parse_parts(data: bytes) -> Node:
    """The tree again."""
    rows = list(_NODE.iter_unpack(data))
    stack: list[Node] = []
    # Backwards: when a node comes, its children are the last ones made.
    for code, start, body_start, end, count in reversed(rows):
        children = stack[len(stack) - count :][::-1] if count else []
        if count:
            del stack[len(stack) - count :]
        stack.append(Node(Kind(code & 0xFF), Encoding(code >> 8), start, body_start, end, children))
    return stack[0]


def find_part(root: Node, path: Sequence[int]) -> Node | None:
    """The part of a section number; None when there is none.

    The parts of a letter that is no multipart are: one, the letter's body (RFC 9051 §6.4.5.1).
    """
    node = root
    body: Node | None = root
    for number in path:
        if body is None:
            return None
        if body.kind is Kind.MULTIPART:
            if number > len(body.children):
                return None
            node = body.children[number - 1]
        elif number == 1:
            node = body
        else:
            return None
        body = (
            node if node.kind is Kind.MULTIPART else node.children[0] if node.kind is Kind.MESSAGE else None
        )
    return node
