"""How often one may guess at passwords: budgets per client, per network and per account, kept by all processes of
the host together in one file that outlives them (promises S30).

A login takes its guess before the password is looked at and gets it back when it was right, so a hundred logins at
once have no more guesses than one after the other.

- A stranger's guess counts for its address and for two widths of network around it: who has a whole provider's
  addresses has not that many budgets.
- It counts for the account too. When strangers have used up an account's budget, an address still has a few
  guesses of its own there: the owner is let in from anywhere, and a botnet has but a few guesses a day for each of
  its machines.
- Where an account has logged in lately its guesses count for that place and account alone: neither a neighbour
  behind the same address nor the whole world can lock its owner out there.

The budgets are those of mox where it has such. The file is a hash table of fixed size: a full set forgets what
would be forgiven soonest. Names and addresses are in it only as keyed hashes. What is lost in a power cut are
guesses of the last seconds.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import ipaddress
import mmap
import os
import secrets
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

SECRET_BYTES = 32
"""At the head of the file: the key of its hashes, and of whatever else must be the same for all processes."""

MAGIC = b"guesses1"

SET_COUNT = 8_192
"""Sets of each of the two tables; both together take 1.6 MB."""

WAYS_COUNT = 4
"""Slots of a set."""

_SLOT = struct.Struct("<8sdd")
_SET_BYTES = WAYS_COUNT * _SLOT.size
_TABLE_BYTES = SET_COUNT * _SET_BYTES
_HEAD_BYTES = len(MAGIC) + SECRET_BYTES
_FILE_BYTES = _HEAD_BYTES + 2 * _TABLE_BYTES

MINUTE_S, DAY_S = 60.0, 86_400.0

KNOWN_S = 30 * DAY_S
"""How long an account is at home where it logged in: longer than a holiday."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Guesses at once, each of which comes back after its share of a minute, and of a day."""

    minute_count: int
    day_count: int

    def spend(self, minute_at: float, day_at: float, now_s: float) -> tuple[float, float] | None:
        """The new times at which all is forgiven (the generic cell rate algorithm); None when nothing is left."""
        minute_at = max(minute_at, now_s) + MINUTE_S / self.minute_count
        day_at = max(day_at, now_s) + DAY_S / self.day_count
        # A thousandth of a second of grace: sums of thirds are not whole.
        if minute_at > now_s + MINUTE_S + 0.001 or day_at > now_s + DAY_S + 0.001:
            return None
        return minute_at, day_at


ADDRESS = Budget(10, 50)
NETWORK = Budget(30, 150)
WIDE_NETWORK = Budget(90, 450)
"""mox's; the networks are three and nine times an address."""

WIDTHS = ((32, 64, ADDRESS), (26, 48, NETWORK), (21, 32, WIDE_NETWORK))
"""Prefix lengths of IPv4 and IPv6. A /64 is what one customer gets at least (RFC 6177 §2)."""

ACCOUNT = Budget(30, 200)
"""Of all strangers together."""

FRESH = Budget(3, 6)
"""Of one address at one account, once strangers have used up the account's: a few typing errors."""

HOME = Budget(20, 1_000)
"""Of an account where it is known: a forgotten device asks every few minutes with an old password."""


@dataclass(frozen=True, slots=True)
class Guess:
    """A guess that was taken."""

    account: str
    address: str
    spent: tuple[tuple[bytes, Budget], ...] = ()


class Guesses:
    """The host's count. Without a file (`None`), this process's own."""

    def __init__(self, file: Path | None, now_s: Callable[[], float]) -> None:
        """Raises OSError when the file cannot be made."""
        self._now_s = now_s
        self._descriptor = -1
        if file is None:
            self._map = mmap.mmap(-1, _FILE_BYTES)
        else:
            self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with self._locked():
                # Room for all of it now: a full disk must not end the process at a later access.
                os.posix_fallocate(self._descriptor, 0, _FILE_BYTES)
            self._map = mmap.mmap(self._descriptor, _FILE_BYTES)
        with self._locked():
            if self._map[: len(MAGIC)] != MAGIC:
                self._map[len(MAGIC) : _HEAD_BYTES] = secrets.token_bytes(SECRET_BYTES)
                self._map[_HEAD_BYTES:] = bytes(2 * _TABLE_BYTES)
                self._map[: len(MAGIC)] = MAGIC
        self.secret = bytes(self._map[len(MAGIC) : _HEAD_BYTES])
        """Of this host alone, the same for all its processes and after every restart."""

    def take(self, account: str, address: str) -> Guess | None:
        """A guess at this account (any name) from this address; None when there is none left."""
        networks = _networks(address)
        pair = f"{account}\0{networks[0][0]}"
        with self._locked():
            now_s = self._now_s()
            if now_s < self._read(1, self._key("home", pair))[1]:
                return self._spend(account, address, [("home", pair, HOME)], now_s)
            wanted = [("network", name, budget) for name, budget in networks]
            crowd, fresh = ("account", account, ACCOUNT), ("fresh", pair, FRESH)
            guess = self._spend(account, address, [*wanted, crowd], now_s)
            if guess is None:
                return self._spend(account, address, [*wanted, fresh], now_s)
            # Noted as long as it is not asked for, so that a later crowd finds this address fresh no more.
            noted = self._spend(account, address, [fresh], now_s)
            return Guess(account, address, guess.spent + noted.spent) if noted else guess

    def give_back(self, guess: Guess) -> None:
        """It was no guess: the password was right, or the same wrong one as before."""
        with self._locked():
            for key, budget in guess.spent:
                minute_at, day_at = self._read(0, key)
                minute_at -= MINUTE_S / budget.minute_count
                self._write(0, key, max(0.0, minute_at), max(0.0, day_at - DAY_S / budget.day_count))

    def worked(self, guess: Guess) -> None:
        """The account is at home at this address from now on."""
        self.give_back(guess)
        pair = f"{guess.account}\0{_networks(guess.address)[0][0]}"
        with self._locked():
            self._write(1, self._key("home", pair), 0.0, self._now_s() + KNOWN_S)

    def close(self) -> None:
        """Lets go of the file."""
        self._map.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _spend(
        self, account: str, address: str, wanted: list[tuple[str, str, Budget]], now_s: float
    ) -> Guess | None:
        """All of them, or none."""
        keys = [(self._key(kind, name), budget) for kind, name, budget in wanted]
        found = [(key, budget, self._forgiven_at(key, now_s)) for key, budget in keys]
        changes = []
        for key, budget, before in found:
            left = budget.spend(*before, now_s)
            if left is None:
                return None
            changes.append((key, budget, left))
        for key, _, (minute_at, day_at) in changes:
            self._write(0, key, minute_at, day_at)
        return Guess(account, address, tuple((key, budget) for key, budget, _ in changes))

    def _forgiven_at(self, key: bytes, now_s: float) -> tuple[float, float]:
        """As it stands; but a clock that was set back makes nobody wait longer than one period."""
        found = self._read(0, key)
        capped = min(found[0], now_s + MINUTE_S), min(found[1], now_s + DAY_S)
        if found[1] > capped[1] + 1 or found[0] > capped[0] + 1:
            self._write(0, key, *capped)
        return capped

    # ---- the tables

    def _key(self, kind: str, name: str) -> bytes:
        return hmac.digest(self.secret, f"{kind}\0{name}".encode("utf-8", "surrogatepass"), hashlib.sha256)

    def _slots(self, table: int, key: bytes) -> Iterator[tuple[int, bytes, float, float]]:
        start = _HEAD_BYTES + table * _TABLE_BYTES
        start += int.from_bytes(key[8:12], "big") % SET_COUNT * _SET_BYTES
        for at in range(start, start + _SET_BYTES, _SLOT.size):
            yield (at, *_SLOT.unpack_from(self._map, at))

    def _read(self, table: int, key: bytes) -> tuple[float, float]:
        for _, tag, minute_at, day_at in self._slots(table, key):
            if tag == key[:8]:
                return minute_at, day_at
        return 0.0, 0.0

    def _write(self, table: int, key: bytes, minute_at: float, day_at: float) -> None:
        slots = tuple(self._slots(table, key))
        own = next((slot for slot in slots if slot[1] == key[:8]), None)
        at = (own or min(slots, key=lambda slot: slot[3]))[0]
        _SLOT.pack_into(self._map, at, key[:8], minute_at, day_at)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Against the host's other processes; held for microseconds, so the loop may wait for it."""
        if self._descriptor < 0:
            yield
            return
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN)


def _networks(address: str) -> tuple[tuple[str, Budget], ...]:
    """The address and the networks around it, each with its budget."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ((address, ADDRESS),)
    rows = []
    for prefix4, prefix6, budget in WIDTHS:
        prefix = prefix4 if parsed.version == 4 else prefix6
        rows.append((str(ipaddress.ip_network((parsed, prefix), strict=False)), budget))
    return tuple(rows)
