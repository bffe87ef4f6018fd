"""The MIME structure of a letter with exact offsets: RFC 2045, 2046, 2183, 2387, in one pass over the octets.

A delimiter is a whole line: `--`, a boundary that is open, `--` when it closes, and white space (RFC 2046
§5.1.1's grammar). So a boundary that is the beginning of another one never matches the other's lines.
(Deviation: that section's prose lets a line's beginning be enough; no sender relies on it, and attackers do.)

What every reader of a `Part` may rely on:
- `multipart` has at least one part, and `message/rfc822` and `message/global` have their `message`; what
  claims to be one but cannot be (no boundary, no delimiter line, too deep) is shown as `text/plain` or,
  beyond a limit, as `application/octet-stream`, so that its octets stay readable;
- parts lie inside their parent, in order, without overlap; `data[part.body_start:part.end]` is the body.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .header import Header, parse_fields
from .parameters import Parameter, join_pieces, parse_parameters
from .tokens import strip_comments

VALUE_BYTES_LIMIT = 65_536
"""How much of a MIME field is read; real ones stay below 2 KiB."""

DEPTH_LIMIT = 100
"""Levels of parts in parts, as Postfix and Dovecot have it; real letters have fewer than ten."""

PART_COUNT_LIMIT = 10_000
"""Parts of one letter, Dovecot's number; what follows belongs to the last part."""

BOUNDARY_BYTES_LIMIT = 1_000
"""RFC 2046 allows 70, senders write more; no boundary is longer than a line may be (RFC 5322 §2.1.1)."""

_TOKEN = rb"[!#-'*+\-.0-9A-Z^-~]++"
_MEDIA_TYPE = re.compile(rb"\s*+(%b)\s*+/\s*+(%b)" % (_TOKEN, _TOKEN))
_FIRST_TOKEN = re.compile(rb'[\s"]*+(%b)' % _TOKEN)
_LANGUAGE = re.compile(rb"[A-Za-z0-9\-]++")


@dataclass(frozen=True, slots=True)
class Part:
    """A letter, a message inside one, or a body part: `data[start:end]`."""

    header: Header
    start: int
    body_start: int
    end: int
    type: bytes
    """Lower case, as all names here."""
    subtype: bytes
    parameters: tuple[Parameter, ...]
    """As they stand, RFC 2231 pieces included; `parameters.decode_parameters` gives what they mean."""
    encoding: bytes
    """Content-Transfer-Encoding; `7bit` when there is none."""
    disposition: bytes
    """`attachment`, `inline` …, or empty."""
    disposition_parameters: tuple[Parameter, ...]
    content_id: bytes | None
    """With its angle brackets, as IMAP wants it."""
    description: bytes | None
    """Raw, unfolded; `words.decode_text` reads it."""
    md5: bytes | None
    language: tuple[bytes, ...]
    location: bytes | None
    line_count: int
    """Line ends in the body."""
    parts: tuple[Part, ...] = ()
    message: Part | None = None

    @property
    def size_bytes(self) -> int:
        """Octets of the body."""
        return self.end - self.body_start

    @property
    def is_message(self) -> bool:
        """Whether a whole letter is inside (RFC 2046 §5.2.1, RFC 6532 §3.7)."""
        return self.message is not None


class _Content(NamedTuple):
    """What Content-Type says."""

    type: bytes
    subtype: bytes
    parameters: tuple[Parameter, ...]


_PLAIN_TEXT = _Content(b"text", b"plain", ((b"charset", b"us-ascii"),))
"""Without a Content-Type that can be read (RFC 2045 §5.2)."""

_OCTETS = _Content(b"application", b"octet-stream", ())
_LETTER = _Content(b"message", b"rfc822", ())


class _Node:
    """A part while its end is not known."""

    __slots__ = ("boundary", "children", "content", "end", "header", "hides", "part")

    def __init__(self, header: Header, content: _Content) -> None:
        self.header = header
        self.content = content
        self.boundary = b""
        """Of a multipart whose delimiters count now, else empty."""
        self.hides: _Node | None = None
        """The outer multipart that uses the same boundary."""
        self.children: list[_Node] = []
        self.end = 0
        self.part: Part | None = None


class _Reader:
    """One pass. Positions only grow, so each octet is searched a fixed number of times, at any depth."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.nodes: list[_Node] = []
        """All of them, parents before children."""
        self.stack: list[_Node] = []
        """From the letter to the part that is being read."""
        self.open: dict[bytes, _Node] = {}
        """The boundaries whose delimiters count now."""
        self.crlf_empty_at = self.bare_empty_at = -1
        """The next empty line of each kind, as last searched."""

    def read(self) -> Part:
        """All parts of the letter."""
        at = self.begin(0, digest=False)
        while self.open and len(self.nodes) < PART_COUNT_LIMIT:
            found = self.next_delimiter(at, len(self.data))
            if found is None:
                break
            line_start, line_end, node, closes = found
            self.end_children(node, line_start)
            if closes:
                self.forget_boundary(node)
                at = line_end - 1
            else:
                at = self.begin(line_end, digest=node.content.subtype == b"digest")
        for node in self.stack:
            node.end = len(self.data)
        return self.build()

    def begin(self, at: int, *, digest: bool) -> int:
        """Reads the header at `at`, and those of the messages that begin with it; where to look for
        delimiters."""
        while True:
            header = parse_fields(self.data, at, self.header_end(at))
            content = _content_of(header, _LETTER if digest else _PLAIN_TEXT)
            too_deep = len(self.stack) >= DEPTH_LIMIT - 1
            is_message = content.type == b"message" and content.subtype in (b"rfc822", b"global")
            if too_deep and (is_message or content.type == b"multipart"):
                content, is_message = _OCTETS, False
            node = _Node(header, content)
            if self.stack:
                self.stack[-1].children.append(node)
            self.nodes.append(node)
            self.stack.append(node)
            at = header.end
            if not is_message:
                break
            digest = False
        if content.type == b"multipart":
            boundary = join_pieces(content.parameters, b"boundary") or b""
            boundary = boundary[: BOUNDARY_BYTES_LIMIT + 1].rstrip(b" \t\r\n")
            if 0 < len(boundary) <= BOUNDARY_BYTES_LIMIT:
                node.boundary = boundary
                node.hides = self.open.get(boundary)
                self.open[boundary] = node
        # A delimiter may be the body's first line; its line feed is the one before the body.
        return max(0, at - 1)

    def header_end(self, at: int) -> int:
        """Behind the empty line, or at a delimiter line that comes before it."""
        data = self.data
        if data.startswith((b"\r\n", b"\n"), at):
            return at + (2 if data.startswith(b"\r", at) else 1)
        if self.crlf_empty_at < at:
            self.crlf_empty_at = _find(data, b"\n\r\n", at, len(data))
        if self.bare_empty_at < at:
            self.bare_empty_at = _find(data, b"\n\n", at, min(self.crlf_empty_at + 1, len(data)))
        if self.bare_empty_at <= self.crlf_empty_at and data.startswith(b"\n\n", self.bare_empty_at):
            end = self.bare_empty_at + 2
        else:
            end = min(self.crlf_empty_at + 3, len(data))
        if self.open:
            found = self.next_delimiter(max(0, at - 1), end)
            if found is not None:
                return found[0]
        return end

    def next_delimiter(self, at: int, stop: int) -> tuple[int, int, _Node, bool] | None:
        """The next delimiter line before `stop`: its start, its end, whose it is, and whether it closes."""
        data = self.data
        while (feed := data.find(b"\n--", at, stop)) >= 0:
            line_end = data.find(b"\n", feed + 3)
            if line_end < 0:
                line_end = len(data)
            if 3 < line_end - feed <= BOUNDARY_BYTES_LIMIT * 2:
                line = data[feed + 3 : line_end].rstrip(b" \t\r")
                node = self.open.get(line)
                if node is not None:
                    return feed + 1, min(line_end + 1, len(data)), node, False
                if line.endswith(b"--"):
                    node = self.open.get(line[:-2])
                    if node is not None:
                        return feed + 1, min(line_end + 1, len(data)), node, True
            at = line_end
        return None

    def end_children(self, node: _Node, line_start: int) -> None:
        """Ends what is open inside `node` before a delimiter line; the line end before it is the
        delimiter's."""
        end = line_start - 1
        if end > 0 and self.data[end - 1] == 0x0D:
            end -= 1
        while self.stack[-1] is not node:
            inner = self.stack.pop()
            # A delimiter right behind a header leaves an empty body, not a negative one.
            end = inner.end = max(end, inner.header.end)
            self.forget_boundary(inner)

    def forget_boundary(self, node: _Node) -> None:
        """The delimiters of `node` do not count any more."""
        if node.boundary:
            if node.hides is not None:
                self.open[node.boundary] = node.hides
            else:
                del self.open[node.boundary]
            node.boundary, node.hides = b"", None

    def build(self) -> Part:
        """The values, children first."""
        lines = _count_lines(self.data, self.nodes)
        for node in reversed(self.nodes):
            parts = tuple(child.part for child in node.children if child.part is not None)
            node.part = _build_part(node, parts, lines[node.end] - lines[node.header.end])
        root = self.nodes[0].part
        assert root is not None
        return root


def parse_structure(data: bytes) -> Part:
    """The whole letter as a part. Never raises; linear in `len(data)`."""
    return _Reader(data).read()


def _find(data: bytes, what: bytes, at: int, stop: int) -> int:
    found = data.find(what, at, stop)
    return stop if found < 0 else found


def _content_of(header: Header, default: _Content) -> _Content:
    value = header.value(b"content-type")
    if value is None:
        return default
    value = strip_comments(value[:VALUE_BYTES_LIMIT])
    match = _MEDIA_TYPE.match(value)
    if match is None:
        return _PLAIN_TEXT
    return _Content(match[1].lower(), match[2].lower(), parse_parameters(value))


def _count_lines(data: bytes, nodes: Sequence[_Node]) -> dict[int, int]:
    """Line feeds before each offset at which a body begins or ends, counting every octet once."""
    offsets = {node.header.end for node in nodes}
    offsets.update(node.end for node in nodes)
    counts: dict[int, int] = {}
    before = count = 0
    for offset in sorted(offsets):
        count += data.count(b"\n", before, offset)
        counts[offset] = count
        before = offset
    return counts


def _build_part(node: _Node, parts: tuple[Part, ...], line_count: int) -> Part:
    header, content = node.header, node.content
    message: Part | None = None
    if content.type == b"message" and parts:
        message, parts = parts[0], ()
    elif content.type == b"multipart" and not parts:
        content = _PLAIN_TEXT
    disposition = strip_comments((header.value(b"content-disposition") or b"")[:VALUE_BYTES_LIMIT])
    kind = _first_token(disposition)
    return Part(
        header,
        header.start,
        header.end,
        node.end,
        content.type,
        content.subtype,
        content.parameters,
        _first_token(header.value(b"content-transfer-encoding") or b"") or b"7bit",
        kind,
        parse_parameters(disposition) if kind else (),
        header.value(b"content-id"),
        header.value(b"content-description"),
        header.value(b"content-md5"),
        tuple(_LANGUAGE.findall(header.value(b"content-language") or b"")),
        header.value(b"content-location"),
        line_count,
        parts,
        message,
    )


def _first_token(value: bytes) -> bytes:
    match = _FIRST_TOKEN.match(strip_comments(value[:VALUE_BYTES_LIMIT]))
    return match[1].lower() if match else b""
