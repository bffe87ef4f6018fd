"""Rules about what the spec names besides itself: files that exist and are what they should be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cryptography import x509

from ..model import MailSpec
from ..source import Loc
from .shape import Finding


def files_are_there(spec: MailSpec, folder: Path) -> Iterator[Finding]:
    """Every file that the spec names beside itself; not those in a folder of its own for what is generated."""
    generated = folder / spec.secrets.folder if spec.secrets.folder not in ("", ".") else None
    named: list[tuple[Loc, str | None, str]] = [
        (("tls", "certificate"), spec.tls.certificate, "the certificate"),
        (("verification", "ca_file"), spec.verification.ca_file, "the file of certificates"),
    ]
    named += [
        (("hosts", name, "ssh", "key"), host.ssh.key, "the SSH key") for name, host in spec.hosts.items()
    ]
    stranger = spec.verification.stranger
    if stranger is not None and stranger.ca_file != "none":
        named.append((("verification", "stranger", "ca_file"), stranger.ca_file, "the file of certificates"))
    for loc, name, what in named:
        path = folder / Path(name).expanduser() if name is not None else None
        if path is None or (generated is not None and generated in path.parents):
            continue
        if not path.is_file():
            text = f"{what} {name!r} is not there"
            yield Finding(
                loc, text, f"put it into {folder}, or mend the path (relative to the site's folder)"
            )


def the_certificate_names_the_hosts(spec: MailSpec, folder: Path) -> Iterator[Finding]:
    """Clients check the host's name against the certificate (RFC 9525); expiry is verification's question."""
    if spec.tls.source != "files" or spec.tls.certificate is None:
        return
    path = folder / spec.tls.certificate
    if not path.is_file():
        return
    loc = ("tls", "certificate")
    try:
        leaf = x509.load_pem_x509_certificates(path.read_bytes())[0]
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        known = names.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        known = []
    except (ValueError, OSError):
        cure = "a PEM file is meant: the host's certificate first, then those that vouch for it"
        yield Finding(loc, f"{spec.tls.certificate!r} is no certificate chain", cure)
        return
    for host in spec.hosts:
        wildcard = f"*.{host.partition('.')[2]}"
        if host not in known and wildcard not in known:
            listed = ", ".join(known) or "none"
            yield Finding(
                loc, f"the certificate does not name {host} (it names: {listed})", "get one that does"
            )


RULES = (files_are_there, the_certificate_names_the_hosts)
