"""A site's spec and keys as the wish of one host."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from mailserver_py.errors import OperatorError, Reason
from mailserver_py.spec.keys import SiteKeys, dkim_secret, load_identities, password_secret, tls_key_secret
from mailserver_py.spec.load import Site
from mailserver_py.spec.settings import derive_settings
from mailserver_py.spec.verification import derive_verification

from .release import Release
from .texts import CHECKOUT
from .wish import Wish

UNVERIFIED = "none"
"""`ca_file: none`: any certificate is accepted."""


@cache
def _release() -> Release:
    return Release(CHECKOUT)


def derive_wish(site: Site, hostname: str, *, wanted_release: str = "") -> Wish:
    """One host's wish. Raises OperatorError with every key that is missing; opens no secret yet."""
    keys = SiteKeys.load(site)
    keys.require()
    settings = derive_settings(site.spec, hostname, keys.current)
    return Wish(
        site=site.name,
        hostname=hostname,
        host=site.spec.hosts[hostname],
        spec=site.spec,
        settings=settings,
        verification=derive_verification(site.name, site.spec, keys.published),
        release=_release(),
        open_secrets=lambda: open_secrets(keys, hostname),
        certificate_chain=_certificate_chain(site),
        trusted=_trusted(site),
        wanted_release=wanted_release,
    )


def open_secrets(keys: SiteKeys, hostname: str) -> Mapping[str, bytes]:
    """The credentials of one host, by the names under which its services ask for them."""
    site = keys.site
    settings = derive_settings(site.spec, hostname, keys.current)
    identities = load_identities()

    def opened(name: str) -> bytes:
        return keys.open(name, identities)

    def password(address: str) -> dict[str, str]:
        parsed = json.loads(opened(password_secret(address)))
        return {name: str(parsed.get(name, "")) for name in ("password", "argon2id", "scram")}

    passwords: dict[str, str] = {}
    for address in settings.accounts:
        secret = password(address)
        passwords[address] = secret["argon2id"]
        if secret["scram"]:
            # The same file's form as before there were any, so that a release of then can read it.
            passwords[f"scram:{address}"] = secret["scram"]
    secrets = {"passwords": _json(passwords)}
    for domain, rule in settings.domains.items():
        for identity in rule.dkim:
            name = dkim_secret(identity.selector, domain)
            secrets[name] = opened(name)
    files = site.spec.tls.source == "files"
    secrets["tls-key"] = opened("tls-key" if files else tls_key_secret(hostname))
    if site.spec.tls.source == "acme":
        secrets["acme-account"] = opened("acme-account")
    if site.spec.verification.every:
        tests = {"password": password(settings.verification_account)["password"]}
        if site.spec.verification.stranger is not None:
            tests["stranger"] = opened("stranger").decode().rstrip("\n")
        secrets["verify"] = _json(tests)
    return secrets


def _json(data: Mapping[str, str]) -> bytes:
    return (json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _trusted(site: Site) -> Mapping[str, bytes]:
    """The certificates that the host's own verification trusts, by their paths in the site's folder."""
    verification = site.spec.verification
    names = [verification.ca_file, verification.stranger.ca_file if verification.stranger else None]
    files: dict[str, bytes] = {}
    for name in names:
        if name and name != UNVERIFIED and not Path(name).is_absolute():
            file = site.folder / name
            try:
                files[name] = file.read_bytes()
            except OSError as error:
                raise OperatorError(
                    Reason(f"cannot be read: {error.strerror}", "mend `verification`", str(file))
                ) from None
    return files


def _certificate_chain(site: Site) -> bytes:
    tls = site.spec.tls
    if tls.source != "files" or not tls.certificate:
        return b""
    file = site.folder / Path(tls.certificate)
    try:
        return file.read_bytes()
    except OSError as error:
        raise OperatorError(
            Reason(f"the certificate cannot be read: {error.strerror}", "mend `tls.certificate`", str(file))
        ) from None
