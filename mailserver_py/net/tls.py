"""TLS for servers and clients: which versions, which certificate, and how a new certificate is taken up.

One `ssl.SSLContext` per service: a context is what OpenSSL resumes sessions within, so a session begun at one
service can never be resumed at another (promises S07). Tickets are off: they would outlive a certificate and
bring little.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes

from .connection import UNBOUND

CHAIN_FILE = "fullchain.pem"
KEY_FILE = "key.pem"

TLS12_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Forward secret and authenticated (RFC 9325 §4.2); TLS 1.3 suites need no list."""


class ServerContext(ssl.SSLContext):
    """A server's context, and what a login can be bound to in each of its connections."""

    bindings: Mapping[str, bytes] = UNBOUND


class TlsContexts:
    """The certificate in `folder` (which may be a symlink that is flipped), as one context per service.

    `services` are the ALPN names of each; all contexts are made at once, so that one certificate serves
    everywhere and a broken one serves nowhere.
    """

    def __init__(self, folder: Path, services: Iterable[tuple[bytes, ...]] = ((),)) -> None:
        self._folder = folder
        self._services = tuple(services)
        self._contexts: dict[tuple[bytes, ...], ServerContext] = {}
        self._seen: tuple[object, ...] | None = None

    @property
    def ready(self) -> bool:
        """Whether there is a certificate."""
        return bool(self._contexts)

    def context(self, alpn: tuple[bytes, ...]) -> ServerContext | None:
        """The current context of the service that speaks these protocols; None without a certificate."""
        return self._contexts.get(alpn)

    def reload(self) -> bool:
        """Takes up what is in the folder if it changed; True when it did.

        Raises ValueError, and keeps the old certificate, when the new one cannot be used.
        """
        seen = self._look()
        if seen is None or seen == self._seen:
            return False
        self._seen = seen
        try:
            contexts = {alpn: self._build(alpn) for alpn in self._services}
        except (OSError, ssl.SSLError) as error:
            raise ValueError(f"{self._folder}: {error}") from error
        self._contexts = contexts
        return True

    def _look(self) -> tuple[object, ...] | None:
        try:
            folder = self._folder.resolve()
            chain, key = (folder / CHAIN_FILE).stat(), (folder / KEY_FILE).stat()
        except OSError:
            return None
        return (str(folder), chain.st_ino, chain.st_mtime_ns, key.st_ino, key.st_mtime_ns)

    def _build(self, alpn: tuple[bytes, ...]) -> ServerContext:
        folder = self._folder.resolve()
        context = server_context()
        context.load_cert_chain(folder / CHAIN_FILE, folder / KEY_FILE)
        context.bindings = end_point_binding((folder / CHAIN_FILE).read_bytes())
        if alpn:
            context.set_alpn_protocols([name.decode() for name in alpn])
        return context


def end_point_binding(chain: bytes) -> Mapping[str, bytes]:
    """`tls-server-end-point`: the hash of the server's certificate, by the hash that it is signed with, but
    SHA-256 for one by MD5 or SHA-1; undefined for signatures without a hash, as Ed25519's (RFC 5929 §4.1).
    """
    try:
        certificate = x509.load_pem_x509_certificate(chain)
        hashed_by = certificate.signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):  # OpenSSL has taken it, and that is what counts
        return UNBOUND
    if hashed_by is None:
        return UNBOUND
    weak = isinstance(hashed_by, hashes.MD5 | hashes.SHA1)
    return {"tls-server-end-point": certificate.fingerprint(hashes.SHA256() if weak else hashed_by)}


def handshake_binding(tls: ssl.SSLObject, *, extended_master_secret: bool) -> Mapping[str, bytes]:
    """`tls-unique`: the first Finished message of TLS 1.2 (RFC 5929 §3.1), where the master secret is bound to
    the handshake; without that, two connections can be made to have the same one (RFC 7627 §1).

    TLS 1.3 has `tls-exporter` instead (RFC 9266), which Python's `ssl` cannot compute.
    """
    if tls.version() != "TLSv1.2" or not extended_master_secret:
        return UNBOUND
    finished = tls.get_channel_binding("tls-unique")
    return {"tls-unique": finished} if finished else UNBOUND


def server_context() -> ServerContext:
    """TLS 1.2 or later (RFC 9325 §3.1.1), our order of ciphers, no tickets, no renegotiation, no
    compression.
    """
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(TLS12_CIPHERS)
    context.options |= (
        ssl.OP_NO_COMPRESSION
        | ssl.OP_NO_RENEGOTIATION
        | ssl.OP_NO_TICKET
        | ssl.OP_CIPHER_SERVER_PREFERENCE
        | ssl.OP_SINGLE_ECDH_USE
    )
    context.num_tickets = 0
    return context


def opportunistic_context() -> ssl.SSLContext:
    """For mail to the world: encrypts against anybody who listens, proves nothing (RFC 7435, RFC 3207 §4.1).

    Without MTA-STS or DANE a certificate cannot be asked for: most MX hosts would fail the check, and a
    refusal would only make the sender fall back to clear text.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    return context


def verified_context(ca_file: str = "") -> ssl.SSLContext:
    """For logins at another server: certificate and name are checked, against `ca_file` or the system's
    store.
    """
    context = ssl.create_default_context(cafile=ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
