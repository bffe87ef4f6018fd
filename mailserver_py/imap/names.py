"""Mailbox names on the wire: modified UTF-7 (RFC 3501 §5.1.3) and, once enabled, UTF-8 (RFC 9051 §5.1, RFC 6855).

Inside, a name is Unicode in NFC. Which names can be mailboxes is the store's to say; here only encodings are refused.
"""

from __future__ import annotations

import binascii
import re
import unicodedata

from ..mailstore.values import INBOX
from .replies import no
from .strings import serialize_astring

_SHIFT = re.compile(r"&([^-]*)-")
_ENCODE = re.compile(r"[^\x20-\x25\x27-\x7e]+|&")


def parse_mailbox(raw: bytes, *, utf8: bool) -> str:
    """A name as the client wrote it → Unicode. Raises Refused (CANNOT) when the encoding is broken."""
    text = _decode(raw, utf8=utf8)
    if text is None:
        raise no(b"The mailbox name is not encoded as it should be", b"CANNOT")
    return INBOX if text.upper() == INBOX else unicodedata.normalize("NFC", text)


def parse_pattern(raw: bytes, *, utf8: bool) -> str | None:
    """A LIST pattern → Unicode; None when it cannot match anything (RFC 9051 §6.3.9: silently ignored)."""
    text = _decode(raw, utf8=utf8)
    return None if text is None else unicodedata.normalize("NFC", text)


def serialize_mailbox(name: str, *, utf8: bool) -> bytes:
    """Unicode → the wire's astring."""
    if utf8:
        return serialize_astring(name.encode("utf-8", "replace"), utf8=True)
    return serialize_astring(serialize_utf7(name))


def serialize_utf7(text: str) -> bytes:
    """Modified UTF-7."""
    return _ENCODE.sub(_shift_out, text).encode("ascii")


def _shift_out(match: re.Match[str]) -> str:
    if match[0] == "&":
        return "&-"
    encoded = binascii.b2a_base64(match[0].encode("utf-16-be", "surrogatepass"), newline=False).decode(
        "ascii"
    )
    return "&" + encoded.rstrip("=").replace("/", ",") + "-"


def parse_utf7(raw: bytes) -> str | None:
    """Modified UTF-7 → Unicode; None unless it is the one right way to write the name (RFC 9051 §A.1)."""
    try:
        source = raw.decode("ascii")
        text = _SHIFT.sub(_shift_in, source)
    except (UnicodeError, ValueError):
        return None
    return text if serialize_utf7(text) == raw else None


def _shift_in(match: re.Match[str]) -> str:
    encoded = match[1]
    if not encoded:
        return "&"
    data = binascii.a2b_base64(encoded.replace(",", "/") + "=" * (-len(encoded) % 4))
    return data.decode("utf-16-be")


def _decode(raw: bytes, *, utf8: bool) -> str | None:
    if utf8:
        try:
            return raw.decode("utf-8")
        except UnicodeError:
            return None
    return parse_utf7(raw)
