"""Who may log in: argon2id hashes, checked in threads, with guessing made slow and names kept secret.

- An unknown address costs the same work as a known one, against a hash with the same parameters (promises
  S29).
- Hashing takes cores and tens of megabytes at a time, so only as many run as there are cores; the rest wait.
- What succeeded a moment ago need not be hashed again: mail clients open a dozen connections at once. The
  cache holds keyed digests, under a key that dies with the process, never a password.
- Each client address has a budget of failed guesses per process. Past it the answer is a late no, whatever
  the password, but for credentials that just worked: nobody is locked out by a stranger (promises S30), only
  behind the same address, and then not while the clients know the password.

Declared: budgets are per worker process and in memory, so a restart forgets them, and n workers allow n
budgets.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import argon2
from argon2.exceptions import Argon2Error, InvalidHashError

from mailserver_py.message.address import AddressError, parse_address
from mailserver_py.net.server import address_key

PASSWORD_LIMIT_CHARS = 1_024
"""Longer than any passphrase; what is longer is refused before it is hashed."""

REMEMBER_S = 600
"""How long a success stands without hashing: as long as a client's burst of connections, far below a working
day.
"""

REMEMBER_COUNT = 20_000
"""Successes kept; 64 bytes each."""

GUESSES_COUNT = 20
"""Failed guesses of one address before it is slowed down: a household with an old password in three
devices.
"""

GUESS_EARNED_S = 30
"""After which one more guess is free: 2,880 a day for an address, which no dictionary gets through."""

GUESSERS_COUNT = 50_000
"""Addresses remembered; the longest unseen are forgotten first."""

LATE_NO_S = 3.0
"""How long a no takes for an address past its budget."""


class ArgonPasswords:
    """Checks addresses and passwords against argon2id hashes by address. `monotonic_s` is for tests."""

    def __init__(
        self,
        hashes: Mapping[str, str],
        enabled: frozenset[str],
        *,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hashes = {account: text for account, text in hashes.items() if account in enabled}
        self._decoy = _decoy(hashes)
        self._monotonic_s = monotonic_s
        self._key = secrets.token_bytes(32)
        self._remembered: OrderedDict[bytes, float] = OrderedDict()
        self._guesses: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, "argon2")

    async def verify(self, address: str, password: str, peer_address: str = "") -> str | None:
        """See `context.Passwords`."""
        account = _account_of(address)
        if not password or len(password) > PASSWORD_LIMIT_CHARS:
            account, password = "", password[:PASSWORD_LIMIT_CHARS]
        text = self._hashes.get(account, "")
        digest = self._digest(account, text, password)
        if text and self._remembered.get(digest, 0.0) > self._monotonic_s():
            return account
        if not self._may_guess(peer_address):
            await asyncio.sleep(LATE_NO_S)
            return None
        loop = asyncio.get_running_loop()
        matches = await loop.run_in_executor(self._threads, _matches, text or self._decoy, password)
        if not text or not matches:
            self._count_guess(peer_address)
            return None
        self._remember(digest)
        return account

    def close(self) -> None:
        """Ends the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _digest(self, account: str, text: str, password: str) -> bytes:
        # The hash's text is in the digest: a changed password forgets what was remembered of the old one.
        message = b"\0".join(part.encode("utf-8", "surrogatepass") for part in (account, text, password))
        return hmac.digest(self._key, message, hashlib.sha256)

    def _remember(self, digest: bytes) -> None:
        self._remembered[digest] = self._monotonic_s() + REMEMBER_S
        self._remembered.move_to_end(digest)
        if len(self._remembered) > REMEMBER_COUNT:
            self._remembered.popitem(last=False)

    def _left(self, key: str) -> float:
        left, seen_s = self._guesses.get(key, (float(GUESSES_COUNT), 0.0))
        return min(float(GUESSES_COUNT), left + (self._monotonic_s() - seen_s) / GUESS_EARNED_S)

    def _may_guess(self, peer_address: str) -> bool:
        return not peer_address or self._left(address_key(peer_address)) >= 1

    def _count_guess(self, peer_address: str) -> None:
        if not peer_address:
            return
        key = address_key(peer_address)
        self._guesses[key] = (self._left(key) - 1, self._monotonic_s())
        self._guesses.move_to_end(key)
        if len(self._guesses) > GUESSERS_COUNT:
            self._guesses.popitem(last=False)


def _account_of(address: str) -> str:
    """The normal form that accounts are named in; empty when it is no address at all."""
    try:
        return parse_address(address).key
    except AddressError:
        return ""


def _matches(text: str, password: str) -> bool:
    try:
        return argon2.PasswordHasher().verify(text, password)
    except (Argon2Error, InvalidHashError, UnicodeEncodeError):
        return False


def _decoy(hashes: Mapping[str, str]) -> str:
    """A hash nobody knows the password of, as costly as the accounts' own."""
    for text in hashes.values():
        try:
            parameters = argon2.extract_parameters(text)
        except InvalidHashError:
            continue
        return argon2.PasswordHasher.from_parameters(parameters).hash(secrets.token_hex(16))
    return argon2.PasswordHasher().hash(secrets.token_hex(16))
