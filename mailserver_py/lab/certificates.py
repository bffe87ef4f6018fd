"""Certificates of the lab's own servers, by an authority that every host of the lab believes.

Pebble signs what ACME clients ask for, with a root that is new each time it starts. This authority vouches for the
rest: pebble's own HTTPS endpoint, and the stranger's mail server.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

# Longer than anyone keeps a lab up, and tests turn clocks forward by months.
LIFE = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, both PEM."""

    certificate: str
    key: str


def ensure_authority(folder: Path) -> KeyPair:
    """The lab's authority, made at first sight; kept in `folder` as `ca.pem` and `ca.key`."""
    certificate, key = folder / "ca.pem", folder / "ca.key"
    if not (certificate.exists() and key.exists()):
        pair = _make("Mail lab authority", (), None)
        folder.mkdir(parents=True, exist_ok=True)
        key.touch(mode=0o600)
        key.write_text(pair.key)
        certificate.write_text(pair.certificate)
    return KeyPair(certificate.read_text(), key.read_text())


def issue(authority: KeyPair, names: Iterable[str | IPv4Address]) -> KeyPair:
    """A server certificate for DNS names and addresses; the first is its common name."""
    listed = tuple(names)
    return _make(str(listed[0]), listed, authority)


def _make(common_name: str, names: Sequence[str | IPv4Address], authority: KeyPair | None) -> KeyPair:
    key = ec.generate_private_key(ec.SECP256R1())
    own_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    # A day back: a host's clock may be behind.
    begin = datetime.now(UTC) - timedelta(days=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + LIFE)
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
        .add_extension(own_id, critical=False)
    )
    if names:
        told = [x509.IPAddress(n) if isinstance(n, IPv4Address) else x509.DNSName(n) for n in names]
        builder = builder.add_extension(x509.SubjectAlternativeName(told), critical=False)
    if authority is None:
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(usage, critical=True)
        certificate = builder.issuer_name(subject).sign(key, hashes.SHA256())
    else:
        issuer = x509.load_pem_x509_certificate(authority.certificate.encode())
        signer = serialization.load_pem_private_key(authority.key.encode(), password=None)
        assert isinstance(signer, ec.EllipticCurvePrivateKey)
        # RFC 5280 §4.2.1.1: it must be there; Python 3.13 refuses a certificate without.
        its_id = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        issuer_id = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(its_id)
        builder = builder.add_extension(issuer_id, critical=False)
        certificate = builder.issuer_name(issuer.subject).sign(signer, hashes.SHA256())
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return KeyPair(certificate.public_bytes(serialization.Encoding.PEM).decode(), secret.decode())
