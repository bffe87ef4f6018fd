"""The host's secrets, as systemd hands them to the service: files in one folder, read once, at the start."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mailserver_py.errors import OperatorError, Reason
from mailserver_py.senderauth.dkim.keys import SigningKey, parse_private_key
from mailserver_py.spec.settings import HostSettings

CURE = "deploy again; the operator's secrets are made by `mailserver keys SITE`"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the daemon needs of them."""

    password_hashes: Mapping[str, str] = field(repr=False)
    """argon2id hashes by account."""
    signing_keys: Mapping[str, tuple[SigningKey, ...]] = field(repr=False)
    """DKIM keys by domain, in the order of the settings."""


def load_credentials(folder: Path, settings: HostSettings) -> Credentials:
    """Reads them. Raises OperatorError with everything that is missing or cannot be read."""
    reasons: list[Reason] = []
    hashes: dict[str, str] = {}
    try:
        hashes = _parse_passwords((folder / "passwords").read_bytes())
    except (OSError, ValueError) as error:
        reasons.append(_reason(folder / "passwords", error))
    keys: dict[str, tuple[SigningKey, ...]] = {}
    for domain, domain_settings in settings.domains.items():
        found = []
        for identity in domain_settings.dkim:
            path = folder / f"dkim.{identity.selector}.{domain}"
            try:
                private = parse_private_key(path.read_bytes())
            except (OSError, ValueError) as error:
                reasons.append(_reason(path, error))
            else:
                found.append(SigningKey(domain, identity.selector, private))
        keys[domain] = tuple(found)
    if reasons:
        raise OperatorError(*reasons)
    return Credentials(hashes, keys)


def _parse_passwords(data: bytes) -> dict[str, str]:
    value = json.loads(data)
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise ValueError("is no JSON object of hashes by account")
    return {str(account): text for account, text in value.items()}


def _reason(path: Path, error: Exception) -> Reason:
    # A JSON error's text may quote a hash; its kind is enough.
    text = error.strerror if isinstance(error, OSError) else "cannot be read as what it should be"
    return Reason(text or "cannot be read", CURE, str(path))
