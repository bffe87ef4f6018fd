"""One secret, one file: armored age, written whole or not at all.

Git shows a changed secret as one changed file, and a half-written one never exists under its own name.
Nothing here puts a secret into an error text.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pyrage

from ...errors import OperatorError, Reason
from ..identity import Identities, parse_recipients

SUFFIX = ".age"

MAX_SECRET_BYTES = 1 << 20
"""The largest secret is a TLS key of some kilobytes; more is a mistake such as a whole archive."""


def write_whole(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Writes beside the file, syncs, and renames. Raises OperatorError when the disk refuses."""
    beside = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise OperatorError(Reason(f"cannot be written: {error.strerror}", "", str(path))) from None


def seal(path: Path, secret: bytes, recipients: Sequence[str]) -> None:
    """Encrypts for all recipients into the file."""
    write_whole(path, pyrage.encrypt(secret, parse_recipients(recipients), armored=True), 0o600)


def unseal(path: Path, identities: Identities, sealed_for: Sequence[str] = ()) -> bytes:
    """The secret in the file. Raises OperatorError with the next step; `sealed_for` only serves its text."""
    try:
        with path.open("rb") as file:
            sealed = file.read(MAX_SECRET_BYTES + 1)
    except FileNotFoundError:
        cure = f"`mailserver keys {_site_of(path)}` makes what is missing; or restore the file from git"
        raise OperatorError(Reason("the secret is missing", cure, str(path))) from None
    except OSError as error:
        raise OperatorError(Reason(f"cannot be read: {error.strerror}", "", str(path))) from None
    if len(sealed) > MAX_SECRET_BYTES:
        raise OperatorError(Reason("is too large for a secret", "restore it from git", str(path)))
    if not identities.found:
        raise OperatorError(_no_identity(path, identities), *identities.unusable)
    try:
        return bytes(pyrage.decrypt(sealed, [identity.secret for identity in identities.found]))
    except pyrage.DecryptError as error:
        if "No matching keys" in str(error):
            raise OperatorError(_wrong_identity(path, identities, sealed_for), *identities.unusable) from None
        cure = "restore the file from git, or delete it and run `mailserver keys` to make a new secret"
        raise OperatorError(
            Reason(f"is damaged or half-typed ({str(error).splitlines()[0]})", cure, str(path))
        ) from None


def _no_identity(path: Path, identities: Identities) -> Reason:
    places = " nor ".join(str(place) for place in identities.looked_at)
    text = f"no identity on this machine can open it: there is no usable {places}"
    cure = "copy it here, or name it in $MAILSERVER_IDENTITY; if it is lost, the recovery identity opens it"
    return Reason(text, cure, str(path))


def _wrong_identity(path: Path, identities: Identities, sealed_for: Sequence[str]) -> Reason:
    tried = ", ".join(f"{one.path} ({one.recipient[:20]}…)" for one in identities.found)
    readers = ", ".join(f"{one[:40]}…" for one in sealed_for) or "others"
    text = f"is not sealed for the identities here: tried {tried}; it is sealed for {readers}"
    cure = (
        "use one of those identities ($MAILSERVER_IDENTITY); or let someone who has one add yours to "
        "`secrets.recipients` and run `mailserver keys SITE --rekey`"
    )
    return Reason(text, cure, str(path))


def _site_of(path: Path) -> str:
    return str(path.parent.parent)
