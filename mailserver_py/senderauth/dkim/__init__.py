"""DKIM: RFC 6376, with RFC 8301 (no SHA-1, keys of 1024 bits and more) and RFC 8463 (Ed25519).

`keys` knows keys, selectors and the record's text, `key_record` reads it back; `canonical` has the two
canonical forms; `signature` reads the field; `sign` and `verify` do what they say.

Invariants:
- A key never signs a domain other than its own.
- `l=` is never signed; on a received signature it is noted, because it lets anybody append text.
- Verifying never raises on what the peer wrote, and its work is bounded: signatures, key sizes, lookups.
"""

from .keys import (
    Algorithm,
    PrivateKey,
    PublicKey,
    SigningKey,
    algorithm_of,
    dkim_record,
    owner_name,
    parse_private_key,
    parse_public_key,
    serialize_private_key,
    serialize_public_key,
)
from .result import Result
from .sign import sign
from .signature import Signature, parse_signatures
from .verify import Verdict, evaluate, lookup_keys, verify

__all__ = [
    "Algorithm",
    "PrivateKey",
    "PublicKey",
    "Result",
    "Signature",
    "SigningKey",
    "Verdict",
    "algorithm_of",
    "dkim_record",
    "evaluate",
    "lookup_keys",
    "owner_name",
    "parse_private_key",
    "parse_public_key",
    "parse_signatures",
    "serialize_private_key",
    "serialize_public_key",
    "sign",
    "verify",
]
