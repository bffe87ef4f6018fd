"""Which secrets a spec implies, and how each is born: one row per kind.

Names are file names: `dkim.r1.example.org.age`. Randomness lives here and nowhere else in the spec's room.
"""

from __future__ import annotations

import json
import secrets
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import argon2

from ...wire.sasl.keys import SALT_BYTES, derive_keys
from ..address_plan import verification_account
from ..model import MailSpec
from .pem import make_ec, make_ed25519, make_rsa

TYPED_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without what looks alike (i, l, o, 0, 1): initial passwords are read out and typed."""

TYPED_GROUPS_COUNT, TYPED_GROUP_COUNT = 5, 4
"""20 letters of 31 are 99 bits: guessing is hopeless even without the hash."""

TSIG_BYTES = {"hmac-sha256": 32, "hmac-sha384": 48, "hmac-sha512": 64}
"""RFC 8945 §8: at least as long as the digest."""

ACCOUNT_PREFIX = "password."
DKIM_PREFIX = "dkim."
TLS_PREFIX = "tls-key."


@dataclass(frozen=True, slots=True)
class Needed:
    """A secret that the spec implies."""

    name: str
    why: str
    make: Callable[[], bytes] | None
    """None: it cannot be made here, only imported."""


def needed_secrets(spec: MailSpec) -> Iterator[Needed]:
    """Every secret of the site, in a stable order."""
    for domain, rule in spec.domains.items():
        for selector, make in dkim_selectors(rule.dkim_epoch):
            yield Needed(dkim_secret(selector, domain), f"signs mail of {domain}", make)
    if spec.dns.rfc2136 is not None and spec.dns.publish == "rfc2136":
        size_bytes = TSIG_BYTES[spec.dns.rfc2136.algorithm]
        yield Needed("tsig", "proves DNS updates", partial(make_tsig, size_bytes))
    if spec.tls.source == "acme":
        yield Needed("acme-account", "the account at the certificate authority", make_rsa)
    if spec.tls.source == "files":
        yield Needed("tls-key", "the key of your certificate", None)
    else:
        # Born here and kept through renewals, so that the DNS can name it before a host has it.
        for host in spec.hosts:
            yield Needed(tls_key_secret(host), f"the TLS key of {host}", make_ec)
    for address in dict.fromkeys((*spec.accounts, verification_account(spec))):
        yield Needed(password_secret(address), "initial password", make_password_secret)
    if spec.verification.stranger is not None:
        yield Needed("stranger", f"password of {spec.verification.stranger.address}", None)


def dkim_selectors(epoch: str) -> tuple[tuple[str, Callable[[], bytes]], ...]:
    """Selector → how its key is made. Two algorithms: not every verifier knows Ed25519 (RFC 8463 §1)."""
    return ((f"r{epoch}", make_rsa), (f"e{epoch}", make_ed25519))


def dkim_secret(selector: str, domain: str) -> str:
    """The secret's name for one DKIM key."""
    return f"{DKIM_PREFIX}{selector}.{domain}"


def password_secret(address: str) -> str:
    """The secret's name for one account's password."""
    return f"{ACCOUNT_PREFIX}{address}"


def tls_key_secret(host: str) -> str:
    """The secret's name for the TLS key of one host, unless the site brings its own certificate."""
    return f"{TLS_PREFIX}{host}"


def make_tsig(size_bytes: int) -> bytes:
    """A new shared secret in base64, as DNS servers write it."""
    return b64encode(secrets.token_bytes(size_bytes)) + b"\n"


def make_password() -> str:
    """A password to hand over, such as `k7mv-…`."""
    return "-".join(
        "".join(secrets.choice(TYPED_ALPHABET) for _ in range(TYPED_GROUP_COUNT))
        for _ in range(TYPED_GROUPS_COUNT)
    )


def make_password_secret() -> bytes:
    """A new password with its hash."""
    return serialize_password(make_password())


def serialize_password(password: str) -> bytes:
    """`{"password", "argon2id", "scram"}`: the text for the operator, the hash and the keys for the host.

    A text that already is an argon2id hash (from another server) is kept as the hash, with no password and so
    without keys.
    """
    if password.startswith("$argon2id$"):
        return _json({"password": "", "argon2id": password})
    return _json(
        {
            "password": password,
            "argon2id": argon2.PasswordHasher().hash(password),
            "scram": make_scram(password),
        }
    )


def make_scram(password: str) -> str:
    """The password's SCRAM keys, with a new salt."""
    return derive_keys(password, secrets.token_bytes(SALT_BYTES)).serialize()


def complete_password(secret: bytes) -> bytes | None:
    """The same secret with SCRAM keys; None when it has them, or cannot have them."""
    try:
        value = json.loads(secret)
        password = value["password"]
    except (ValueError, KeyError, TypeError):
        return None
    if not isinstance(password, str) or not password or "scram" in value:
        return None
    return _json({**value, "scram": make_scram(password)})


def _json(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"
