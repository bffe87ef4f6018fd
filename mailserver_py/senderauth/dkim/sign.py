"""Signing: RFC 6376 §5, relaxed/relaxed, with the fields that matter signed once more often than they occur.

Signing a field that is not there (§5.4.2) is a seal on its absence: nobody can add a second Subject or a
Reply-To of their own to a signed letter (promises S17).
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Sequence

from mailserver_py.message.header import Header, parse_header

from .canonical import Canonicalization, canonical_body, relaxed_field
from .keys import SigningKey

SEALED = (
    b"From",
    b"To",
    b"Cc",
    b"Subject",
    b"Date",
    b"Message-ID",
    b"Reply-To",
    b"MIME-Version",
    b"Content-Type",
    b"Content-Transfer-Encoding",
)
"""What a reader sees or a mail client acts on; signed with one more than there are."""

SIGNED_IF_PRESENT = (b"Sender", b"In-Reply-To", b"References", b"List-Unsubscribe", b"List-Unsubscribe-Post")
"""Signed, and open for a mailing list to add where there was none."""

_LINE_BYTES = 76
"""Width of the signature's folded lines (RFC 5322 §2.1.1)."""


def sign(letter: bytes, keys: Sequence[SigningKey], now_s: int) -> bytes:
    """One DKIM-Signature field for each key, as they are to be put in front of the letter; empty without
    keys.

    `letter` must have CRLF line ends, and must not change after, but for fields put in front of it.
    """
    if not keys:
        return b""
    header = parse_header(letter)
    body = canonical_body(Canonicalization.RELAXED, letter[header.end :])
    body_hash = b64encode(hashlib.sha256(body).digest())
    names, signed = _signed_fields(header)
    return b"".join(_signature_field(key, names, signed, body_hash, now_s) for key in keys)


def _signed_fields(header: Header) -> tuple[list[bytes], bytes]:
    """The names for `h=`, and the canonical data they stand for; of several fields the last comes first."""
    names: list[bytes] = []
    data: list[bytes] = []
    for name in SEALED + SIGNED_IF_PRESENT:
        for found in reversed(header.all(name)):
            names.append(name)
            data.append(relaxed_field(found.name, found.raw_value))
        if name in SEALED:
            names.append(name)
    return names, b"".join(data)


def _signature_field(
    key: SigningKey, names: Sequence[bytes], signed: bytes, body_hash: bytes, now_s: int
) -> bytes:
    start = (
        f" v=1; a={key.algorithm}; c=relaxed/relaxed; d={key.domain};\r\n s={key.selector}; t={now_s};\r\n"
    ).encode("ascii")
    value = start + _fold_names(names) + b" bh=" + body_hash + b";\r\n b="
    # §3.7: the field itself comes last, with an empty b= and without a line end.
    data = signed + relaxed_field(b"DKIM-Signature", value).removesuffix(b"\r\n")
    signature = b64encode(key.sign(data))
    width = _LINE_BYTES - 1
    folded = b"\r\n ".join(signature[at : at + width] for at in range(0, len(signature), width))
    return b"DKIM-Signature:" + value + folded + b"\r\n"


def _fold_names(names: Sequence[bytes]) -> bytes:
    """` h=…;`, folded behind colons."""
    lines: list[bytes] = []
    line = b" h="
    for number, name in enumerate(names):
        word = name + (b";" if number == len(names) - 1 else b":")
        if len(line) + len(word) > _LINE_BYTES:
            lines.append(line)
            line = b"  "
        line += word
    return b"\r\n".join((*lines, line)) + b"\r\n"
