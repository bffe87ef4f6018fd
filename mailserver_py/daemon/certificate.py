"""The host's certificate: which one it has, whether it is time for another, and how the new one takes its place.

A certificate lies whole in a folder of its own (`<tls>/<hostname>/<serial>/`: chain, key, `about.json`), and the link
`current` names the one in use. The new folder is written and synced beside, then the link is swapped at once, so that
no process ever reads half of it and the old one serves until then (promises R36). Workers look at the link.

The key is the site's, born at the operator's; a renewal keeps it, so that DNS records which name it stay right. Renewal
is due when a third of the life is left, or when the authority says so (ARI, RFC 9773). Deployment reads
`about.json` to see whether the certificate is of the wanted kind.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.x509.oid import NameOID

from mailserver_py.errors import OperatorError, Reason
from mailserver_py.spec.settings import HostSettings

from .log import Log

STAND_IN = "stand-in"
"""The source of the certificate that a host shows before its first real one."""
STAND_IN_DAYS = 30
"""Long enough to publish records; short, since nobody should get used to it."""
SELF_SIGNED_DAYS = 398
"""The longest life that Apple's and Mozilla's programs accept."""
BACKDATED = timedelta(hours=1)
"""For clients whose clocks are behind."""
LIFE_SHARE_LEFT = 1 / 3
"""Of the life is left when renewal begins: 30 of 90 days, which outlasts every outage of an authority so far."""
KEPT_COUNT = 3
"""Folders of certificates: the one in use, and older ones for whoever still reads them."""

TlsKey = EllipticCurvePrivateKey | RSAPrivateKey
"""The kinds of key that a certificate authority of the web signs."""

CURRENT = "current"
CHAIN, KEY, ABOUT = "fullchain.pem", "key.pem", "about.json"


@dataclass(frozen=True, slots=True)
class About:
    """What is known of the certificate in use; instants in seconds since the epoch."""

    source: str
    """`acme`, `files`, `self-signed` or `stand-in`."""
    hostname: str
    not_before: float
    not_after: float
    key: str
    """SHA-256 of the key's PEM."""
    chain: str
    """SHA-256 of the chain's PEM."""
    directory: str = ""
    """Of the ACME authority."""
    renew_at: float = 0
    """When the authority asks us to renew (ARI); 0: it did not say."""
    ask_again_at: float = 0
    """When to ask it again."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A chain from somewhere, before it is put in place."""

    chain: bytes
    source: str
    directory: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """One look after the certificate: what the host wants, where it lies, and who can issue one."""

    settings: HostSettings
    folder: Path
    """`<tls>/<hostname>`."""
    key: bytes
    """PEM."""
    log: Log
    now: datetime
    """Aware."""
    obtain: Callable[[], Issued]
    """Asks the authority (`certificate_authority.obtain`)."""
    ask_renewal: Callable[[bytes], tuple[datetime | None, datetime]]
    """Asks the authority when to renew a chain, and when to ask again."""
    chain_file: Path = Path("/etc/mailserver/fullchain.pem")
    """The operator's own chain, for `tls.source: files`."""

    def run(self, *, force: bool = False) -> bool:
        """Renews when it is due. Returns whether the certificate changed.

        Raises WorldError when the authority or the network refuses, OperatorError for files that do not fit.
        """
        about = load_about(self.folder)
        reason = "asked for" if force else self._reason(about)
        if not reason and about is not None and self.settings.tls_source == "acme":
            about = self._ask(about)
            reason = self._reason(about)
        if not reason:
            return False
        self.log.event("cert.due", hostname=self.settings.hostname, reason=reason)
        self._put(self._issue())
        return True

    def stand_in(self) -> bool:
        """Makes sure that there is a certificate at all, without asking anybody. Returns whether one was made."""
        if load_about(self.folder) is not None:
            return False
        if self.settings.tls_source == "acme":
            self._put(self._signed_by_itself(STAND_IN, STAND_IN_DAYS))
        else:
            self._put(self._issue())
        return True

    def _reason(self, about: About | None) -> str:
        """Why another certificate is due now; empty: it is not."""
        wanted = self.settings
        if about is None:
            return "none yet"
        if about.source != wanted.tls_source:
            return f"{about.source}, not {wanted.tls_source}"
        if about.hostname != wanted.hostname or about.key != digest(self.key):
            return "for another name or key"
        if about.source == "acme" and about.directory != wanted.acme_directory:
            return "from another authority"
        if about.source == "files":
            return "the site's file is another" if about.chain != digest(self._own_chain()) else ""
        if self.now.timestamp() >= renewal_at(about):
            return "a third of its life is left, or less"
        if about.renew_at and self.now.timestamp() >= about.renew_at:
            return "the authority asks for it"
        return ""

    def _ask(self, about: About) -> About:
        """Asks for the authority's own renewal time, when it is time to; an answer it cannot give changes nothing."""
        if self.now.timestamp() < about.ask_again_at:
            return about
        renew_at, again_at = self.ask_renewal((self.folder / CURRENT / CHAIN).read_bytes())
        known = replace(
            about, renew_at=renew_at.timestamp() if renew_at else 0, ask_again_at=again_at.timestamp()
        )
        write_whole(self.folder / CURRENT / ABOUT, serialize_about(known))
        return known

    def _issue(self) -> Issued:
        if self.settings.tls_source == "files":
            return Issued(self._own_chain(), "files")
        if self.settings.tls_source == "self-signed":
            return self._signed_by_itself("self-signed", SELF_SIGNED_DAYS)
        return self.obtain()

    def _own_chain(self) -> bytes:
        try:
            return self.chain_file.read_bytes()
        except OSError as error:
            raise OperatorError(
                Reason(
                    f"the certificate cannot be read: {error.strerror}", "deploy again", str(self.chain_file)
                )
            ) from None

    def _signed_by_itself(self, source: str, days: int) -> Issued:
        return Issued(
            self_signed(self.settings.hostname, parse_key(self.key), self.now, timedelta(days=days)), source
        )

    def _put(self, issued: Issued) -> None:
        """Checks a new chain and puts it in place."""
        leaf = parse_leaf(issued.chain)
        check_leaf(leaf, self.settings.hostname, self.key, self.now)
        about = About(
            source=issued.source,
            hostname=self.settings.hostname,
            not_before=leaf.not_valid_before_utc.timestamp(),
            not_after=leaf.not_valid_after_utc.timestamp(),
            key=digest(self.key),
            chain=digest(issued.chain),
            directory=issued.directory,
        )
        install(self.folder, f"{leaf.serial_number:x}", issued.chain, self.key, about)
        self.log.event(
            "cert.renewed",
            hostname=about.hostname,
            source=about.source,
            serial=f"{leaf.serial_number:x}",
            not_after=leaf.not_valid_after_utc.isoformat(),
        )


def digest(data: bytes) -> str:
    """The SHA-256 of some octets, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def renewal_at(about: About) -> float:
    """When a third of the life is left."""
    return about.not_after - (about.not_after - about.not_before) * LIFE_SHARE_LEFT


def parse_key(pem: bytes) -> TlsKey:
    """The private key. Raises OperatorError."""
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        key = None
    if isinstance(key, EllipticCurvePrivateKey | RSAPrivateKey):
        return key
    raise OperatorError(
        Reason("the TLS key is no unencrypted RSA or EC key in PEM", "mend the secret `tls-key`")
    )


def parse_leaf(chain: bytes) -> x509.Certificate:
    """The first certificate of a PEM chain. Raises OperatorError."""
    try:
        return x509.load_pem_x509_certificates(chain)[0]
    except (ValueError, IndexError):
        raise OperatorError(
            Reason("the certificate is no PEM chain", "mend the file of `tls.certificate`")
        ) from None


def check_leaf(leaf: x509.Certificate, hostname: str, key: bytes, now: datetime) -> None:
    """Refuses a certificate that clients would refuse, before it replaces one that works. Raises OperatorError."""
    reasons = []
    public = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    if leaf.public_key().public_bytes(*public) != parse_key(key).public_key().public_bytes(*public):
        reasons.append(Reason("the certificate is for another key", "the secret `tls-key` must be its key"))
    if not _covers(leaf, hostname):
        reasons.append(Reason(f"the certificate is not for {hostname}", f"get one that names {hostname}"))
    if leaf.not_valid_after_utc <= now:
        reasons.append(Reason(f"the certificate ran out on {leaf.not_valid_after_utc:%Y-%m-%d}", "renew it"))
    if reasons:
        raise OperatorError(*reasons)


def _covers(leaf: x509.Certificate, hostname: str) -> bool:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    parent = hostname.partition(".")[2]
    return bool(
        {hostname, f"*.{parent}"} & {name.lower() for name in names.get_values_for_type(x509.DNSName)}
    )


def self_signed(hostname: str, key: TlsKey, now: datetime, life: timedelta) -> bytes:
    """A PEM certificate that vouches for itself alone."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(hostname)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def load_about(folder: Path) -> About | None:
    """What is in use; None when there is nothing, or nothing whole."""
    try:
        row = json.loads((folder / CURRENT / ABOUT).read_bytes())
        return About(**row)
    except (OSError, ValueError, TypeError):
        return None


def serialize_about(about: About) -> bytes:
    """As it lies beside the certificate."""
    return (json.dumps(asdict(about), indent=2) + "\n").encode()


def install(folder: Path, serial: str, chain: bytes, key: bytes, about: About) -> None:
    """Puts a certificate in place: whole beside, synced, then the link at once; then older ones are removed."""
    # A certificate can come again with its number (`files`, after another source): the folder in use is never touched.
    name = f"{serial}-{about.chain[:8]}"
    beside = folder / f".{name}.new"
    place = folder / name
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(mode=0o700, parents=True)
    for file, content in ((CHAIN, chain), (KEY, key), (ABOUT, serialize_about(about))):
        write_whole(beside / file, content)
    in_use = folder / CURRENT
    if place.exists() and in_use.resolve() != place.resolve():
        shutil.rmtree(place)
    if place.exists():
        write_whole(place / ABOUT, serialize_about(about))
        write_whole(place / KEY, key)
        shutil.rmtree(beside)
        return
    beside.rename(place)
    link = folder / ".current.new"
    link.unlink(missing_ok=True)
    link.symlink_to(name)
    sync(folder)
    link.replace(in_use)
    sync(folder)
    others = [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink() and path != place]
    for old in sorted(others, key=lambda path: path.stat().st_mtime)[: -(KEPT_COUNT - 1)]:
        shutil.rmtree(old, ignore_errors=True)


def write_whole(path: Path, content: bytes) -> None:
    """A file that is there whole or not at all, readable by its owner alone."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync(path.parent)


def sync(folder: Path) -> None:
    """Makes the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def load_credential(folder: Mapping[str, str], name: str, path: Path | None) -> bytes:
    """A secret that systemd hands over (`LoadCredential=`). Raises OperatorError when it did not."""
    place = path or (Path(folder["CREDENTIALS_DIRECTORY"]) if folder.get("CREDENTIALS_DIRECTORY") else None)
    try:
        if place is not None:
            return (place / name).read_bytes()
    except OSError:
        pass
    raise OperatorError(
        Reason(
            f"the credential {name} was not handed over",
            "this runs as a unit: `systemctl start mailserver-cert`",
        )
    )


def utc_now() -> datetime:
    """The wall clock, aware."""
    return datetime.now(UTC)
