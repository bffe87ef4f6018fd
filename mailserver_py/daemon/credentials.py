"""The host's secrets, as systemd hands them to the service: files in one folder, read once, at the start."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mailserver_py.errors import OperatorError, Reason
from mailserver_py.senderauth.dkim.keys import SigningKey, parse_private_key
from mailserver_py.spec.settings import HostSettings
from mailserver_py.wire.sasl.keys import Keys, parse_keys

CURE = "deploy again; the operator's secrets are made by `mailserver keys SITE`"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the daemon needs of them."""

    password_hashes: Mapping[str, str] = field(repr=False)
    """argon2id hashes by account."""
    scram_keys: Mapping[str, Keys] = field(repr=False)
    """By account; not every account has them."""
    signing_keys: Mapping[str, tuple[SigningKey, ...]] = field(repr=False)
    """DKIM keys by domain, in the order of the settings."""


def load_credentials(folder: Path, settings: HostSettings) -> Credentials:
    """Reads them. Raises OperatorError with everything that is missing or cannot be read."""
    reasons: list[Reason] = []
    hashes: dict[str, str] = {}
    scram: dict[str, Keys] = {}
    try:
        hashes, scram = parse_passwords((folder / "passwords").read_bytes())
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
    return Credentials(hashes, scram, keys)


SCRAM_PREFIX = "scram:"
"""Before an account: its SCRAM keys. No address begins so, and releases that know no SCRAM find an account
that does not exist: the same file serves both, before and after a release is taken back."""


def parse_passwords(data: bytes) -> tuple[dict[str, str], dict[str, Keys]]:
    """Hashes, and SCRAM keys where there are any, by account. Raises ValueError."""
    value = json.loads(data)
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise ValueError("is no JSON object of hashes by account")
    scram = {name for name in value if name.startswith(SCRAM_PREFIX)}
    keys = {name.removeprefix(SCRAM_PREFIX): parse_keys(value[name]) for name in sorted(scram)}
    return {name: text for name, text in value.items() if name not in scram}, keys


def _reason(path: Path, error: Exception) -> Reason:
    # A JSON error's text may quote a hash; its kind is enough.
    text = error.strerror if isinstance(error, OSError) else "cannot be read as what it should be"
    return Reason(text or "cannot be read", CURE, str(path))
