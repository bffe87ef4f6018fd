"""DKIM keys: their PEM form, the record that publishes them, and its name: RFC 6376 §3.6, RFC 8463 §4.

Keys are born elsewhere (randomness is no business of a pure room); here they are read, written and named.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

Algorithm: TypeAlias = Literal["rsa-sha256", "ed25519-sha256"]
PrivateKey: TypeAlias = RSAPrivateKey | Ed25519PrivateKey
PublicKey: TypeAlias = RSAPublicKey | Ed25519PublicKey

SELECTOR_BASE = "_domainkey"
"""The label that all selectors of a domain stand under (RFC 6376 §3.6.2.1)."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and the name under which the world finds its public half."""

    domain: str
    """A-labels, lower case."""
    selector: str
    private: PrivateKey = field(repr=False)

    @property
    def algorithm(self) -> Algorithm:
        """The value of the signature's `a=`."""
        return algorithm_of(self.private)

    def sign(self, data: bytes) -> bytes:
        """The raw signature over canonical header data.

        Ed25519 signs the SHA-256 of the data, not the data (RFC 8463 §3).
        """
        if isinstance(self.private, RSAPrivateKey):
            return self.private.sign(data, padding.PKCS1v15(), hashes.SHA256())
        digest = hashes.Hash(hashes.SHA256())
        digest.update(data)
        return self.private.sign(digest.finalize())


def owner_name(selector: str, domain: str) -> str:
    """Where a selector's record stands in the DNS, without a final dot."""
    return f"{selector}.{SELECTOR_BASE}.{domain}"


def algorithm_of(key: PrivateKey | PublicKey) -> Algorithm:
    """The `a=` value for a key of this kind."""
    return "rsa-sha256" if isinstance(key, RSAPrivateKey | RSAPublicKey) else "ed25519-sha256"


def dkim_record(public: PublicKey) -> str:
    """The TXT record's text, undivided; whoever writes DNS cuts it into strings of 255 octets."""
    if isinstance(public, RSAPublicKey):
        # SubjectPublicKeyInfo, which is what verifiers of RSA keys expect (RFC 6376 §3.6.1, erratum 3017).
        kind, octets = (
            "rsa",
            public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        )
    else:
        # The bare 32 octets (RFC 8463 §4).
        kind, octets = (
            "ed25519",
            public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw),
        )
    return f"v=DKIM1; k={kind}; p={b64encode(octets).decode()}"


def parse_private_key(pem: bytes) -> PrivateKey:
    """Reads an unencrypted PEM private key. Raises ValueError, whose text holds no key material."""
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("not an unencrypted PEM private key") from None
    match key:
        case RSAPrivateKey() | Ed25519PrivateKey():
            return key
        case _:
            raise ValueError("neither an RSA nor an Ed25519 private key")


def serialize_private_key(private: PrivateKey) -> bytes:
    """PKCS #8 PEM, unencrypted: whoever stores it encrypts it."""
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def parse_public_key(pem: bytes) -> PublicKey:
    """Reads a PEM public key. Raises ValueError."""
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("not a PEM public key") from None
    match key:
        case RSAPublicKey() | Ed25519PublicKey():
            return key
        case _:
            raise ValueError("neither an RSA nor an Ed25519 public key")


def serialize_public_key(public: PublicKey) -> bytes:
    """SubjectPublicKeyInfo PEM."""
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
