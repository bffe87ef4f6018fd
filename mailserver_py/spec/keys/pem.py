"""Private keys as PEM: how each kind is born, and its public half.

`senderauth.dkim` reads the same texts; the spec's room stands beside it and does not import it.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa

RSA_BITS = 2_048
"""RFC 8301 §3.2 asks signers for 2,048 at least; a 4,096-bit record no longer fits the answers of small resolvers."""

PrivateKey: TypeAlias = RSAPrivateKey | Ed25519PrivateKey | EllipticCurvePrivateKey


def make_rsa() -> bytes:
    """A new RSA key."""
    return _serialize(generate_rsa(public_exponent=65_537, key_size=RSA_BITS))


def make_ed25519() -> bytes:
    """A new Ed25519 key."""
    return _serialize(Ed25519PrivateKey.generate())


def make_ec() -> bytes:
    """A new P-256 key, which every TLS client knows and which is a tenth of an RSA key's work."""
    return _serialize(generate_ec(SECP256R1()))


def check_private(pem: bytes) -> None:
    """Raises ValueError, whose text holds no key material, for what is no unencrypted private key."""
    _parse_private(pem)


def public_half(pem: bytes) -> bytes:
    """The public half of a DKIM key, as PEM. Raises ValueError."""
    match _parse_private(pem):
        case RSAPrivateKey() | Ed25519PrivateKey() as key:
            return key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        case _:
            raise ValueError("neither an RSA nor an Ed25519 private key")


def algorithm_of_public(pem: bytes) -> Literal["rsa-sha256", "ed25519-sha256"]:
    """What a DKIM key's public half signs with. Raises ValueError for what is none."""
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("not a PEM public key") from None
    match key:
        case RSAPublicKey():
            return "rsa-sha256"
        case Ed25519PublicKey():
            return "ed25519-sha256"
        case _:
            raise ValueError("neither an RSA nor an Ed25519 public key")


def _parse_private(pem: bytes) -> object:
    try:
        return serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("not an unencrypted PEM private key") from None


def _serialize(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
