"""What a server keeps of a password for SCRAM-SHA-256: RFC 5802 §3, written as RFC 5803 §2 does.

    SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>

PostgreSQL and OpenLDAP write the same, so keys can come from there. A login cannot be made from them, but the
password can be guessed at, and more cheaply than at argon2id: they are as secret as the hashes beside them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field

from .saslprep import ProhibitedError, prepare

SALT_BYTES = 16
"""Never twice the same among all the accounts of the world."""

ITERATION_COUNT = 15_000
"""RFC 7677 §4: the rule of thumb; 4,096 is the least. Each login costs the client so much, the server nothing."""

ITERATION_LIMIT_COUNT = 10_000_000
"""Beyond it a client would compute for minutes: a typing error, or an attack on the clients (RFC 5802 §9)."""

KEY_BYTES = 32
"""SHA-256's."""

_TEXT = re.compile(
    r"SCRAM-SHA-256\$([1-9][0-9]{0,7}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Keys:
    """One password's."""

    salt: bytes
    iteration_count: int
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)

    def serialize(self) -> str:
        """The one line of RFC 5803."""
        salt, stored, server = (
            base64.b64encode(data).decode() for data in (self.salt, self.stored_key, self.server_key)
        )
        return f"SCRAM-SHA-256${self.iteration_count}:{salt}${stored}:{server}"


def parse_keys(text: str) -> Keys:
    """Reads what `Keys.serialize` writes. Raises ValueError, without the text."""
    match = _TEXT.fullmatch(text)
    count, *parts = match.groups() if match is not None else ("0", "", "", "")
    try:
        salt, stored, server = (base64.b64decode(part, validate=True) for part in parts)
    except binascii.Error:
        raise ValueError("are no SCRAM-SHA-256 keys") from None
    if not (salt and len(stored) == len(server) == KEY_BYTES and int(count) <= ITERATION_LIMIT_COUNT):
        raise ValueError("are no SCRAM-SHA-256 keys")
    return Keys(salt, int(count), stored, server)


def derive_keys(password: str, salt: bytes, iteration_count: int = ITERATION_COUNT) -> Keys:
    """RFC 5802 §3. What SASLprep prohibits is taken as it is, as PostgreSQL and its clients do: new characters
    are newer than its Unicode 3.2."""
    try:
        prepared = prepare(password, stored=True)
    except ProhibitedError:
        prepared = password
    salted = hashlib.pbkdf2_hmac("sha256", prepared.encode(), salt, iteration_count)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return Keys(
        salt,
        iteration_count,
        hashlib.sha256(client_key).digest(),
        hmac.digest(salted, b"Server Key", "sha256"),
    )
