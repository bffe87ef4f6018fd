"""Who may log in: argon2id hashes, checked in threads, SCRAM keys, names kept secret and guesses counted.

- An unknown address costs the same work as a known one, against a hash with the same parameters, and has SCRAM keys
  that stay the same for as long as the host lives (promises S29).
- Hashing takes cores and tens of megabytes at a time, so only as many run as there are cores; the rest wait.
- What succeeded a moment ago need not be hashed again: mail clients open a dozen connections at once. The
  cache holds keyed digests, under a key that dies with the process, never a password.
- Who has no guess left (`guesses`) gets a late no, whatever the password, but for one that just worked. Saying the
  same wrong password again is no new guess: a forgotten device locks nobody out (promises S30).
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
from dataclasses import replace

import argon2
from argon2.exceptions import Argon2Error, InvalidHashError

from mailserver_py.message.address import AddressError, parse_address
from mailserver_py.net.server import address_key
from mailserver_py.wire.sasl import Keys
from mailserver_py.wire.sasl.keys import ITERATION_COUNT, KEY_BYTES, SALT_BYTES

from .context import ScramTry
from .guesses import Guesses

PASSWORD_LIMIT_CHARS = 1_024
"""Longer than any passphrase; what is longer is refused before it is hashed."""

NAME_LIMIT_CHARS = 400
"""Longer than any address; the rest of what is no address does not count."""

REMEMBER_S = 600
"""How long a success stands without hashing: as long as a client's burst of connections, far below a working
day.
"""

REMEMBER_COUNT = 20_000
"""Successes kept, and as many failures; 64 bytes each."""

SAME_GUESS_S = 3_600
"""How long a wrong password that is said again is no new guess; a device asks every few minutes."""

LATE_NO_S = 3.0
"""How long a no takes for who has no guess left."""


class ArgonPasswords:
    """Checks logins against argon2id hashes and SCRAM keys by account. `monotonic_s` is for tests."""

    def __init__(
        self,
        hashes: Mapping[str, str],
        enabled: frozenset[str],
        *,
        keys: Mapping[str, Keys] | None = None,
        guesses: Guesses | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hashes = {account: text for account, text in hashes.items() if account in enabled}
        self._decoy = _decoy(hashes)
        self._keys = dict(keys or {})
        self._iteration_count = min((k.iteration_count for k in self._keys.values()), default=ITERATION_COUNT)
        self._enabled = enabled
        self._guesses = guesses or Guesses(None, time.time)
        self._monotonic_s = monotonic_s
        self._key = secrets.token_bytes(32)
        self._remembered: OrderedDict[bytes, float] = OrderedDict()
        self._wrong: OrderedDict[bytes, float] = OrderedDict()
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, "argon2")

    @property
    def offers_scram(self) -> bool:
        """See `context.Passwords`."""
        return bool(self._enabled) and self._enabled <= self._keys.keys()

    async def verify(self, address: str, password: str, peer_address: str = "") -> str | None:
        """See `context.Passwords`."""
        account = _account_of(address)
        if not password or len(password) > PASSWORD_LIMIT_CHARS:
            account, password = "", password[:PASSWORD_LIMIT_CHARS]
        text = self._hashes.get(account, "")
        name = account or address[:NAME_LIMIT_CHARS]
        digest = self._digest(name, text, password)
        if text and self._stands(self._remembered, digest):
            return account
        same = self._digest(address_key(peer_address), digest.hex())
        if self._stands(self._wrong, same):
            self._remember(self._wrong, same, SAME_GUESS_S)
            return None
        guess = self._guesses.take(name, peer_address) if peer_address else None
        if guess is None and peer_address:
            await asyncio.sleep(LATE_NO_S)
            return None
        loop = asyncio.get_running_loop()
        matches = await loop.run_in_executor(self._threads, _matches, text or self._decoy, password)
        if not text or not matches:
            self._remember(self._wrong, same, SAME_GUESS_S)
            return None
        if guess is not None:
            self._guesses.worked(guess)
        self._remember(self._remembered, digest, REMEMBER_S)
        return account

    async def begin_scram(self, address: str, peer_address: str = "") -> ScramTry:
        """See `context.Passwords`."""
        account = _account_of(address)
        name = account or address[:NAME_LIMIT_CHARS]
        made_up, known = self._make_up(name), self._keys.get(account)
        found = known or made_up
        guess = self._guesses.take(name, peer_address) if peer_address else None
        if guess is None and peer_address:
            # The salt is the account's, so that nothing can be told from it; no password fits these keys.
            await asyncio.sleep(LATE_NO_S)
            return ScramTry(replace(found, stored_key=made_up.stored_key), "", None)
        return ScramTry(found, account if known and account in self._enabled else "", guess)

    def end_scram(self, begun: ScramTry, *, proven: bool) -> str | None:
        """See `context.Passwords`."""
        if not proven or not begun.account:
            return None
        if begun.guess is not None:
            self._guesses.worked(begun.guess)
        return begun.account

    def close(self) -> None:
        """Ends the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._guesses.close()

    def _make_up(self, name: str) -> Keys:
        """Keys for whoever has none, always the same for a name. Made for everybody, to take the same time."""

        def of(what: str) -> bytes:
            message = f"{what}\0{name}".encode("utf-8", "surrogatepass")
            return hmac.digest(self._guesses.secret, message, hashlib.sha256)

        stored = of("stored key")[:KEY_BYTES]
        return Keys(of("salt")[:SALT_BYTES], self._iteration_count, stored, of("server key")[:KEY_BYTES])

    def _digest(self, *parts: str) -> bytes:
        # The hash's text is in the digest: a changed password forgets what was remembered of the old one.
        message = b"\0".join(part.encode("utf-8", "surrogatepass") for part in parts)
        return hmac.digest(self._key, message, hashlib.sha256)

    def _stands(self, memory: OrderedDict[bytes, float], digest: bytes) -> bool:
        return memory.get(digest, 0.0) > self._monotonic_s()

    def _remember(self, memory: OrderedDict[bytes, float], digest: bytes, life_s: float) -> None:
        memory[digest] = self._monotonic_s() + life_s
        memory.move_to_end(digest)
        if len(memory) > REMEMBER_COUNT:
            memory.popitem(last=False)


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
