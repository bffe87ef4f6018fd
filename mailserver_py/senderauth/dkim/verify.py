"""Verifying: RFC 6376 §6.1, RFC 8301, RFC 8463. Three steps, of which only the second asks anything:

    signatures = parse_signatures(header, now_s)
    keys = await lookup_keys(signatures, lookup)
    verdicts = evaluate(letter, header, signatures, keys)   # CPU only; a big letter can be done in a thread

`verify` does all three.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from mailserver_py.message.header import Header, parse_header

from ..lookup import Lookup, Status
from .canonical import Canonicalization, canonical_body, canonical_field, relaxed_field, without_signature
from .key_record import KeyFound, parse_key_record
from .keys import PublicKey, owner_name
from .result import Result
from .signature import Signature, parse_signatures


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be thought of one signature."""

    result: Result
    domain: str
    selector: str
    identity: str
    algorithm: str
    reason: str = ""
    signature_text: str = ""
    """The first characters of `b=`, which tell signatures of one domain apart (RFC 6008)."""
    partial_body: bool = False
    """`l=` left part of the body unsigned: anybody can have added it."""
    testing: bool = False
    """The key's `t=y`: its owner only tries (RFC 6376 §3.6.1)."""


async def verify(letter: bytes, lookup: Lookup, now_s: int) -> tuple[Verdict, ...]:
    """Verdicts on the letter's signatures, from the top; empty when it has none."""
    header = parse_header(letter)
    signatures = parse_signatures(header, now_s)
    return evaluate(letter, header, signatures, await lookup_keys(signatures, lookup))


async def lookup_keys(signatures: Sequence[Signature], lookup: Lookup) -> Mapping[str, KeyFound]:
    """The keys of all signatures that still can pass, by `key_place`; each is asked for once."""
    keys: dict[str, KeyFound] = {}
    for signature in signatures:
        place = key_place(signature)
        if signature.result is not None or place in keys:
            continue
        found = await lookup.txt(owner_name(signature.selector, signature.domain))
        if found.status is Status.FAILED:
            keys[place] = KeyFound(None, Result.TEMPERROR, "key not to be had for now")
        elif found.status is Status.ABSENT or not found.values:
            keys[place] = KeyFound(None, Result.PERMERROR, "no key")
        else:
            keys[place] = parse_key_record(found.values[0], signature.algorithm)
    return keys


def key_place(signature: Signature) -> str:
    """What a key is found by; one record read for another algorithm is another key."""
    return f"{signature.algorithm} {owner_name(signature.selector, signature.domain)}"


def evaluate(
    letter: bytes, header: Header, signatures: Sequence[Signature], keys: Mapping[str, KeyFound]
) -> tuple[Verdict, ...]:
    """The verdicts; no I/O, time linear in the letter."""
    bodies: dict[Canonicalization, bytes] = {}
    return tuple(_evaluate_one(letter, header, bodies, signature, keys) for signature in signatures)


def _evaluate_one(
    letter: bytes,
    header: Header,
    bodies: dict[Canonicalization, bytes],
    signature: Signature,
    keys: Mapping[str, KeyFound],
) -> Verdict:
    if signature.result is not None:
        return _verdict(signature, signature.result, signature.problem)
    found = keys[key_place(signature)]
    if found.key is None:
        return _verdict(signature, found.result, found.problem)
    if found.strict and signature.identity.rpartition("@")[2].lower() != signature.domain:
        return _verdict(signature, Result.PERMERROR, "the key allows no subdomains")
    body = bodies.get(signature.body_form)
    if body is None:
        body = bodies[signature.body_form] = canonical_body(signature.body_form, letter[header.end :])
    limit_bytes = signature.body_limit_bytes
    partial = limit_bytes is not None and limit_bytes < len(body)
    if limit_bytes is not None and limit_bytes > len(body):
        return _verdict(signature, Result.FAIL, "the body is shorter than l= says")
    if hashlib.sha256(body[:limit_bytes] if partial else body).digest() != signature.body_hash:
        return _verdict(signature, Result.FAIL, "the body was altered")
    if not _is_signed_by(found.key, signature.signature, _signed_data(letter, header, signature)):
        return _verdict(signature, Result.FAIL, "the signature does not match")
    return _verdict(
        signature,
        Result.PASS,
        "part of the body is not signed (l=)" if partial else "",
        partial_body=partial,
        testing=found.testing,
    )


def _verdict(
    signature: Signature, result: Result, reason: str, *, partial_body: bool = False, testing: bool = False
) -> Verdict:
    return Verdict(
        result=result,
        domain=signature.domain,
        selector=signature.selector,
        identity=signature.identity,
        algorithm=signature.algorithm,
        reason=reason,
        signature_text=signature.signature_text,
        partial_body=partial_body,
        testing=testing,
    )


def _signed_data(letter: bytes, header: Header, signature: Signature) -> bytes:
    """The header as the signer saw it (§3.7): named fields from the bottom up, then the signature without
    `b=`.
    """
    used: dict[bytes, int] = {}
    data: list[bytes] = []
    for name in signature.names:
        fields = header.all(name)
        count = used[name] = used.get(name, 0) + 1
        if count <= len(fields):
            data.append(canonical_field(signature.header_form, letter, fields[-count]))
    field = signature.field
    value = without_signature(field.raw_value)
    if signature.header_form is Canonicalization.RELAXED:
        data.append(relaxed_field(field.name, value).removesuffix(b"\r\n"))
    else:
        data.append(letter[field.start : letter.index(b":", field.start) + 1] + value)
    return b"".join(data)


def _is_signed_by(key: PublicKey, signature: bytes, data: bytes) -> bool:
    try:
        if isinstance(key, RSAPublicKey):
            key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
        else:
            # RFC 8463 §3: the signature is over the hash.
            key.verify(signature, hashlib.sha256(data).digest())
    except InvalidSignature:
        return False
    return True
