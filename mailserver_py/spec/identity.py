"""Who can read the secrets: the operators' age and SSH identities, and recipients as the spec writes them.

age's own file format for identities (age-encryption.org/v1): one `AGE-SECRET-KEY-1…` line, comments with `#`.
SSH keys serve as they are, unless they are protected by a passphrase, which the library cannot ask for.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import pyrage
from cryptography.hazmat.primitives import serialization

from ..errors import OperatorError, Reason

IDENTITY_VARIABLE = "MAILSERVER_IDENTITY"
"""Names the one identity file to use."""

AgeIdentity: TypeAlias = pyrage.x25519.Identity | pyrage.ssh.Identity
AgeRecipient: TypeAlias = pyrage.x25519.Recipient | pyrage.ssh.Recipient


@dataclass(frozen=True, slots=True)
class Identity:
    """One identity and the file it came from."""

    path: Path
    recipient: str
    """Its public half, as the spec writes it; empty when it cannot be told."""
    secret: AgeIdentity = field(repr=False)


@dataclass(frozen=True, slots=True)
class Identities:
    """What was found on this machine, and why something was not usable."""

    found: tuple[Identity, ...]
    unusable: tuple[Reason, ...]
    looked_at: tuple[Path, ...]


def identity_paths(environment: Mapping[str, str] | None = None) -> tuple[Path, ...]:
    """Where identities are looked for, in order."""
    known = os.environ if environment is None else environment
    if known.get(IDENTITY_VARIABLE):
        return (Path(known[IDENTITY_VARIABLE]).expanduser(),)
    home = Path(known["HOME"]) if known.get("HOME") else Path.home()
    return (home / ".config/mailserver/identity.txt", home / ".ssh/id_ed25519")


def load_identities(environment: Mapping[str, str] | None = None) -> Identities:
    """Every identity that exists; what cannot be used is told, not raised: another may open the secret."""
    found: list[Identity] = []
    unusable: list[Reason] = []
    paths = identity_paths(environment)
    for path in paths:
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            unusable.append(Reason(f"cannot be read: {error.strerror}", "", str(path)))
            continue
        try:
            found += _parse_identities(path, data)
        except OperatorError as error:
            unusable += error.reasons
    return Identities(tuple(found), tuple(unusable), paths)


def _parse_identities(path: Path, data: bytes) -> list[Identity]:
    if b"PRIVATE KEY-----" in data:
        try:
            secret = pyrage.ssh.Identity.from_buffer(data)
        except pyrage.IdentityError as error:
            text, cure = f"is no usable SSH key: {error}", "use an Ed25519 or RSA key, or an age identity"
            if "must be decrypted" in str(error):
                text = "is protected by a passphrase, and cannot be used for secrets"
                cure = (
                    "make an age identity with `mailserver keys SITE --new-identity`, or name an "
                    f"unprotected key in ${IDENTITY_VARIABLE}"
                )
            raise OperatorError(Reason(text, cure, str(path))) from None
        return [Identity(path, _ssh_recipient(data), secret)]
    found = []
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            age = pyrage.x25519.Identity.from_str(line.strip())
        except pyrage.IdentityError:
            # The line is secret or nearly so, so it is not quoted.
            cure = "one `AGE-SECRET-KEY-1…` a line is meant; restore the file from a copy"
            raise OperatorError(Reason("is no age identity", cure, str(path), number)) from None
        found.append(Identity(path, str(age.to_public()), age))
    if not found:
        raise OperatorError(Reason("holds no identity", "restore the file from a copy", str(path)))
    return found


def _ssh_recipient(private: bytes) -> str:
    try:
        key = serialization.load_ssh_private_key(private, None)
        line = key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
    except (ValueError, TypeError):
        return ""
    return line.decode()


def create_identity(path: Path) -> Identity:
    """A new age identity in a new file that only its owner can read. Raises OperatorError when it exists."""
    secret = pyrage.x25519.Identity.generate()
    recipient = str(secret.to_public())
    note = "Keep a copy offline: without it, the secrets cannot be read."
    text = f"# recipient: {recipient}\n# {note}\n{secret}\n"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise OperatorError(Reason("exists already", "it is never overwritten", str(path))) from None
    except OSError as error:
        text = f"cannot be made: {error.strerror}"
        raise OperatorError(Reason(text, f"name another place in ${IDENTITY_VARIABLE}", str(path))) from None
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return Identity(path, recipient, secret)


def parse_recipient(text: str) -> AgeRecipient:
    """`age1…` or an SSH public key line as what age encrypts for. Raises ValueError, for the rules."""
    words = text.split()
    try:
        if text.startswith("age1"):
            return pyrage.x25519.Recipient.from_str(text.strip())
        if words and words[0] in ("ssh-ed25519", "ssh-rsa") and len(words) > 1:
            return pyrage.ssh.Recipient.from_str(" ".join(words[:2]))
    except pyrage.RecipientError:
        raise ValueError(f"{text[:24]!r}… is damaged: it is no complete public key") from None
    if text.startswith("AGE-SECRET-KEY-"):
        raise ValueError("this is a secret identity, not a recipient; it must not stand in the spec")
    raise ValueError(f"{text[:24]!r} is neither an age recipient (`age1…`) nor an SSH public key")


def plain_recipient(text: str) -> str:
    """The recipient without an SSH key's comment, so that two spellings compare equal."""
    return " ".join(text.split()[:2])


def parse_recipients(texts: Sequence[str]) -> list[AgeRecipient]:
    """All of them. Raises OperatorError naming each bad one."""
    parsed: list[AgeRecipient] = []
    reasons: list[Reason] = []
    for text in texts:
        try:
            parsed.append(parse_recipient(text))
        except ValueError as refusal:
            reasons.append(Reason(str(refusal), "mend `secrets.recipients`"))
    if reasons:
        raise OperatorError(*reasons)
    return parsed
