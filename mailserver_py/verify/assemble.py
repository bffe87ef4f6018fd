"""From a wish and its secrets to the world that the checks look at; here, from the slice on the host.

What only the operator has (YAML, age) is imported by `verify.site` alone: the host goes without.
"""

from __future__ import annotations

import json
import ssl
from datetime import UTC, datetime
from pathlib import Path

from mailserver_py.errors import OperatorError, Reason
from mailserver_py.net.authoritative import AuthoritativeResolver
from mailserver_py.net.resolver import StubResolver
from mailserver_py.net.tls import verified_context
from mailserver_py.spec.address_plan import verification_account
from mailserver_py.spec.model import MailSpec
from mailserver_py.spec.settings import PublicKeys
from mailserver_py.spec.verification import VerificationSlice
from mailserver_py.zone import render

from .world import Login, World, doors_of

UNVERIFIED = "none"
"""The value of `stranger.ca_file` that accepts any certificate of the stranger's."""


def world_of_slice(wish: VerificationSlice, secrets: bytes, *, state_dir: Path, runtime_dir: Path) -> World:
    """The world from the mail host itself; `secrets` is the credential `verify`."""
    opened = json.loads(secrets)
    return assemble_world(
        wish.spec,
        wish.public_keys(),
        account=Login(verification_account(wish.spec), opened["password"]),
        stranger_password=opened.get("stranger", ""),
        folder=Path("/etc/mailserver"),
        state_dir=state_dir,
        runtime_dir=runtime_dir,
    )


def assemble_world(
    spec: MailSpec,
    keys: PublicKeys,
    *,
    account: Login,
    stranger_password: str,
    folder: Path,
    state_dir: Path | None = None,
    runtime_dir: Path | None = None,
) -> World:
    """The world as the checks see it: resolvers, addresses, logins and the stranger of this site."""
    resolver = StubResolver(spec.dns.resolver or "")
    stranger = spec.verification.stranger
    return World(
        spec=spec,
        records=render(spec, keys),
        resolver=resolver,
        authority=AuthoritativeResolver(resolver),
        doors=doors_of(spec),
        trust=_trust(spec.verification.ca_file, folder),
        now=lambda: datetime.now(UTC),
        account=account,
        stranger=stranger,
        stranger_password=stranger_password,
        stranger_trust=_trust(stranger.ca_file, folder) if stranger is not None else None,
        state_dir=state_dir,
        runtime_dir=runtime_dir,
    )


def _trust(ca_file: str | None, folder: Path) -> ssl.SSLContext:
    if ca_file == UNVERIFIED:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        return verified_context(str(folder / ca_file) if ca_file else "")
    except (OSError, ssl.SSLError) as error:
        raise OperatorError(
            Reason(
                f"{ca_file}: no certificates can be read from it ({error})",
                "give a PEM file, relative to the site's folder",
                str(folder / "mail.yaml"),
            )
        ) from error
