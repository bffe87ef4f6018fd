"""Key records: RFC 6376 §3.6.1, RFC 8463 §4.2. What the DNS says of a selector becomes a key, or why there is
none.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from ..tag_list import parse_tag_list
from .keys import PublicKey
from .result import Result

RSA_BITS = range(1024, 4097)
"""RFC 8301 §3.2 for the lower end; above it a check costs milliseconds, which is only good for an attack."""

_WHITE = re.compile(rb"[ \t\r\n]+")


@dataclass(frozen=True, slots=True)
class KeyFound:
    """What the DNS says of a selector."""

    key: PublicKey | None
    result: Result = Result.PASS
    problem: str = ""
    strict: bool = False
    """`t=s`: the identity's domain must be the signing domain itself."""
    testing: bool = False
    """`t=y`."""


def parse_key_record(record: bytes, algorithm: str) -> KeyFound:
    """Reads a key record (§3.6.1) for a signature of this algorithm."""
    tags = parse_tag_list(record)
    if tags is None or tags.get("v", b"DKIM1") != b"DKIM1" or ("v" in tags and next(iter(tags)) != "v"):
        return KeyFound(None, Result.PERMERROR, "bad key record")
    kind = tags.get("k", b"rsa").decode("ascii", "replace")
    allowed_hashes = [item.strip() for item in tags.get("h", b"sha256").split(b":")]
    services = [item.strip() for item in tags.get("s", b"*").split(b":")]
    flags = [item.strip() for item in tags.get("t", b"").split(b":")]
    if kind != algorithm.partition("-")[0] or b"sha256" not in allowed_hashes:
        return KeyFound(None, Result.PERMERROR, "the key is for another algorithm")
    if b"*" not in services and b"email" not in services:
        return KeyFound(None, Result.PERMERROR, "the key is not for mail")
    encoded = _WHITE.sub(b"", tags.get("p", b"-"))
    if not encoded:
        return KeyFound(None, Result.PERMERROR, "the key is revoked")
    key = _parse_public(kind, encoded)
    if key is None:
        return KeyFound(None, Result.PERMERROR, "bad key")
    if isinstance(key, RSAPublicKey) and key.key_size not in RSA_BITS:
        return KeyFound(None, Result.POLICY, "key too short or too long")
    return KeyFound(key, strict=b"s" in flags, testing=b"y" in flags)


def _parse_public(kind: str, encoded: bytes) -> PublicKey | None:
    try:
        octets = b64decode(encoded, validate=True)
        if kind == "ed25519":
            return Ed25519PublicKey.from_public_bytes(octets)
        key = serialization.load_der_public_key(octets)
    except (ValueError, UnsupportedAlgorithm, binascii.Error):
        return None
    return key if isinstance(key, RSAPublicKey) else None
