"""Channel bindings: both ends of a connection know the same, and no other connection does."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from mailserver_py.net.connection import Connection
from mailserver_py.net.tls import TlsContexts, end_point_binding, opportunistic_context

from .conftest import Run
from .test_server import serving

NOW = datetime(2026, 1, 1, tzinfo=UTC)

NO_EXTENDED_MASTER_SECRET = 1
"""OpenSSL 3's SSL_OP_NO_EXTENDED_MASTER_SECRET."""


def shake(port: int, version: ssl.TLSVersion, options: int) -> tuple[bytes, bytes | None]:
    """What Python's own client knows: the certificate, and the Finished message."""
    context = opportunistic_context()
    context.maximum_version = version
    context.options |= options
    with (
        socket.create_connection(("127.0.0.1", port), 5) as raw,
        context.wrap_socket(raw, server_hostname="x") as tls,
    ):
        certificate = tls.getpeercert(binary_form=True)
        assert certificate is not None
        unique = tls.get_channel_binding("tls-unique")
        tls.sendall(b"x")
        tls.recv(1)
        return certificate, unique


@pytest.mark.parametrize(
    ("version", "options", "kinds"),
    [
        (ssl.TLSVersion.TLSv1_2, 0, {"tls-server-end-point", "tls-unique"}),
        (ssl.TLSVersion.TLSv1_2, NO_EXTENDED_MASTER_SECRET, {"tls-server-end-point"}),
        (ssl.TLSVersion.TLSv1_3, 0, {"tls-server-end-point"}),
    ],
    ids=["1.2", "1.2-unextended", "1.3"],
)
def test_both_ends_know_the_same(
    run: Run, tls: TlsContexts, version: ssl.TLSVersion, options: int, kinds: set[str]
) -> None:
    async def case() -> None:
        seen: list[Mapping[str, bytes]] = []

        async def handler(connection: Connection) -> None:
            assert connection.tls is not None
            seen.append(connection.tls.bindings)
            await connection.write(await connection.read(5))

        async with serving(handler, tls=tls, implicit_tls=True) as (_, port):
            certificate, unique = await asyncio.to_thread(shake, port, version, options)
            await asyncio.to_thread(shake, port, version, options)
        one, other = seen
        assert set(one) == kinds
        assert one["tls-server-end-point"] == hashlib.sha256(certificate).digest()
        if "tls-unique" in kinds:
            assert one["tls-unique"] == unique != other["tls-unique"]

    run(case())


def certificate_signed(
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, hashed_by: hashes.SHA384 | None
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(NOW).not_valid_after(NOW)
    return builder.sign(key, hashed_by)


def test_the_certificates_own_hash_is_used_and_without_one_there_is_no_binding() -> None:
    by_sha384 = certificate_signed(ec.generate_private_key(ec.SECP256R1()), hashes.SHA384())
    pem = by_sha384.public_bytes(serialization.Encoding.PEM)
    expected = hashlib.sha384(by_sha384.public_bytes(serialization.Encoding.DER)).digest()
    assert end_point_binding(pem) == {"tls-server-end-point": expected}
    by_none = certificate_signed(ed25519.Ed25519PrivateKey.generate(), None)
    assert end_point_binding(by_none.public_bytes(serialization.Encoding.PEM)) == {}
    assert end_point_binding(b"no certificate") == {}
