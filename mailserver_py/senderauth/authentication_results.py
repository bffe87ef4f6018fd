"""Authentication-Results: RFC 8601. What we found out, written for our own readers; what others claim to be
ours, taken out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mailserver_py.message.address import AddressError, a_labels
from mailserver_py.message.header import Field, Header, parse_header, unfold
from mailserver_py.message.tokens import strip_comments, unquote

from . import dkim, spf

FIELD_NAME = b"Authentication-Results"

VALUE_BYTES = 998
"""How much of a value we write or read: a line's limit (RFC 5322 §2.1.1), far above any name."""

LINE_CHARS = 78
"""Where lines are folded (RFC 5322 §2.1.1)."""

_PLAIN_VALUE = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`{|}~]*@?[A-Za-z0-9!#$%&'*+\-.^_`{|}~]+")
_ID = re.compile(rb'[ \t]*(?:"((?:[^"\\]++|\\.)*+)"|([^\s;"]++))', re.DOTALL)


@dataclass(frozen=True, slots=True)
class MethodResult:
    """One method's result (§2.2): `dkim=pass (reason) header.d=example.org`."""

    method: str
    result: str
    reason: str = ""
    properties: tuple[tuple[str, str], ...] = ()
    """`ptype.property` and its value."""


def spf_result(evaluation: spf.Evaluation, reverse_path: str, helo: str) -> MethodResult:
    """§2.7.2."""
    of_sender = evaluation.identity == "mailfrom"
    checked = ("smtp.mailfrom", reverse_path) if of_sender else ("smtp.helo", helo)
    return MethodResult("spf", evaluation.result.value, properties=(checked,))


def dkim_results(verdicts: Sequence[dkim.Verdict]) -> tuple[MethodResult, ...]:
    """§2.7.1; one for each signature, or `none`."""
    if not verdicts:
        return (MethodResult("dkim", "none"),)
    return tuple(_dkim_result(verdict) for verdict in verdicts)


def _dkim_result(verdict: dkim.Verdict) -> MethodResult:
    found = (
        ("header.d", verdict.domain),
        ("header.s", verdict.selector),
        ("header.a", verdict.algorithm),
        ("header.b", verdict.signature_text),
    )
    reason = verdict.reason or ("the key is only for testing" if verdict.testing else "")
    return MethodResult("dkim", verdict.result.value, reason, tuple(item for item in found if item[1]))


def serialize(authserv_id: str, results: Sequence[MethodResult]) -> bytes:
    """The whole field, folded, with its line end. Values of strangers cannot break out of it."""
    lines = [f"{FIELD_NAME.decode()}: {authserv_id}" + ("; none" if not results else "")]
    for result in results:
        lines[-1] += ";"
        words = [f"{result.method}={result.result}"]
        if result.reason:
            words.append(f"reason={_quote(result.reason)}")
        words.extend(f"{name}={_value(value)}" for name, value in result.properties)
        lines.append("")
        for word in words:
            if lines[-1] and len(lines[-1]) + len(word) >= LINE_CHARS:
                lines.append(" ")
            lines[-1] += " " + word
    return "\r\n".join(lines).encode("utf-8") + b"\r\n"


def remove_foreign(letter: bytes, authserv_id: str, header: Header | None = None) -> bytes:
    """The letter without Authentication-Results that bear our own name (§5), however it is spelled.

    The very same object when there are none. `header`: the letter's, where it was parsed already.
    """
    header = header or parse_header(letter)
    ours = _normal(authserv_id)
    forged = [field for field in header.all(FIELD_NAME) if _bears(field, ours)]
    if not forged:
        return letter
    pieces: list[bytes] = []
    at = 0
    for field in forged:
        pieces.append(letter[at : field.start])
        at = field.end
    pieces.append(letter[at:])
    return b"".join(pieces)


def _bears(field: Field, ours: str) -> bool:
    """Whether a reader could take the field for ours. In doubt (no name to be read) it does: ours has one."""
    match = _ID.match(strip_comments(unfold(field.raw_value[: 8 * VALUE_BYTES]))[:VALUE_BYTES])
    if match is None:
        return True
    name = unquote(match[1]) if match[1] is not None else match[2]
    return _normal(name.decode("utf-8", "replace")) == ours


def _normal(name: str) -> str:
    """Case, A- or U-labels, a final dot and white space are no difference."""
    bare = "".join(name.split()).rstrip(".")
    try:
        return a_labels(bare)
    except AddressError:
        return bare.lower()


def _value(text: str) -> str:
    return text if _PLAIN_VALUE.fullmatch(text) else _quote(text)


def _quote(text: str) -> str:
    """A quoted string (RFC 5322 §3.2.4) of bounded length, whatever the text is."""
    clean = "".join(char if char.isprintable() else "?" for char in text[: VALUE_BYTES // 2])
    return '"' + clean.replace("\\", "\\\\").replace('"', '\\"') + '"'
