"""DKIM-Signature fields: RFC 6376 §3.5 and §6.1.1. Strict, as §6.1.1 asks; what is wrong becomes the
verdict.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, replace

from mailserver_py.message.header import Field, Header

from ..tag_list import parse_tag_list
from .canonical import Canonicalization
from .result import Result

SIGNATURE_COUNT = 8
"""Signatures looked at, from the top; lists and gateways leave three or four, an attack a thousand."""

SIGNED_NAME_COUNT = 256
"""Names in `h=`; real signatures have some thirty."""

SIGNATURE_BYTES = 16_384
"""One DKIM-Signature field; real ones have one or two thousand octets."""

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_\-]*[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_DIGITS = re.compile(rb"[0-9]{1,18}")
_WHITE = re.compile(rb"[ \t\r\n]+")
_REQUIRED = ("v", "a", "b", "bh", "d", "h", "s")


@dataclass(frozen=True, slots=True)
class Signature:
    """A DKIM-Signature as far as it could be read."""

    field: Field
    domain: str = ""
    selector: str = ""
    identity: str = ""
    """The `i=` value, or `@` the domain."""
    algorithm: str = ""
    header_form: Canonicalization = Canonicalization.SIMPLE
    body_form: Canonicalization = Canonicalization.SIMPLE
    names: tuple[bytes, ...] = ()
    body_hash: bytes = b""
    signature: bytes = b""
    signature_text: str = ""
    """The first characters of `b=`, which tell signatures of one domain apart (RFC 6008)."""
    body_limit_bytes: int | None = None
    """`l=`."""
    result: Result | None = None
    """Set when it cannot pass, whatever the DNS says; `problem` says why."""
    problem: str = ""


def parse_signatures(header: Header, now_s: int) -> tuple[Signature, ...]:
    """A letter's signatures from the top, each read as far as it makes sense."""
    fields = header.all(b"DKIM-Signature")
    signatures = [_parse_signature(field, now_s) for field in fields[:SIGNATURE_COUNT]]
    if len(fields) > SIGNATURE_COUNT:
        signatures.append(
            Signature(fields[SIGNATURE_COUNT], result=Result.POLICY, problem="too many signatures")
        )
    return tuple(signatures)


def _parse_signature(field: Field, now_s: int) -> Signature:
    if len(field.raw_value) > SIGNATURE_BYTES:
        return _unusable(field, "signature too long", Result.POLICY)
    tags = parse_tag_list(field.raw_value)
    if tags is None:
        return _unusable(field, "signature syntax error")
    if any(not tags.get(name) for name in _REQUIRED):
        return _unusable(field, "signature lacks a required tag")
    if tags["v"] != b"1":
        return _unusable(field, "incompatible version")
    domain, selector = _text(tags["d"]).lower(), _text(tags["s"])
    if not _NAME.fullmatch(domain) or not _NAME.fullmatch(selector) or len(domain) + len(selector) > 240:
        return _unusable(field, "bad domain or selector")
    identity = _text(tags.get("i", b"@" + domain.encode()))
    identity_domain = identity.rpartition("@")[2].lower()
    signature = _WHITE.sub(b"", tags["b"])
    known = Signature(
        field,
        domain=domain,
        selector=selector,
        identity=identity,
        algorithm=_text(tags["a"]).lower(),
        signature_text=_text(signature[:8]),
    )
    if identity_domain != domain and not identity_domain.endswith("." + domain):
        return _refused(known, "the identity is outside the domain")
    if known.algorithm not in ("rsa-sha256", "ed25519-sha256"):
        # rsa-sha1 among them: it must not be taken for valid (RFC 8301 §3.1).
        return _refused(known, "unknown or obsolete algorithm")
    return _parse_rest(known, tags, signature, now_s)


def _parse_rest(known: Signature, tags: Mapping[str, bytes], signature: bytes, now_s: int) -> Signature:
    forms = _forms(tags.get("c", b"simple/simple"))
    if forms is None:
        return _refused(known, "unknown canonicalization")
    if b"dns/txt" not in [item.strip() for item in tags.get("q", b"dns/txt").split(b":")]:
        return _refused(known, "unknown query method")
    names = tuple(name.strip(b" \t\r\n").lower() for name in tags["h"].split(b":"))
    if len(names) > SIGNED_NAME_COUNT:
        return _refused(known, "too many signed fields", Result.POLICY)
    if b"from" not in names:
        return _refused(known, "From is not signed")
    try:
        signature_octets = b64decode(signature, validate=True)
        body_hash = b64decode(_WHITE.sub(b"", tags["bh"]), validate=True)
    except binascii.Error:
        return _refused(known, "signature syntax error")
    numbers = [tags[name] for name in ("l", "t", "x") if name in tags]
    if any(not _DIGITS.fullmatch(number) for number in numbers):
        return _refused(known, "signature syntax error")
    if "x" in tags and int(tags["x"]) < max(now_s, int(tags.get("t", b"0"))):
        return _refused(known, "signature expired")
    return replace(
        known,
        header_form=forms[0],
        body_form=forms[1],
        names=names,
        body_hash=body_hash,
        signature=signature_octets,
        body_limit_bytes=int(tags["l"]) if "l" in tags else None,
    )


def _forms(value: bytes) -> tuple[Canonicalization, Canonicalization] | None:
    """`c=`: header and body form; the body's is simple when it is not named (§3.5)."""
    header, _, body = value.partition(b"/")
    try:
        return Canonicalization(_text(header).lower()), Canonicalization(_text(body).lower() or "simple")
    except ValueError:
        return None


def _text(value: bytes) -> str:
    return value.decode("ascii", "replace")


def _unusable(field: Field, problem: str, result: Result = Result.PERMERROR) -> Signature:
    return Signature(field, result=result, problem=problem)


def _refused(known: Signature, problem: str, result: Result = Result.PERMERROR) -> Signature:
    return replace(known, result=result, problem=problem)
