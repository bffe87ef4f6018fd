"""Who may log in, in tests: everybody named, with the password `secret`."""

from __future__ import annotations

from functools import cache

from mailserver_py.daemon.context import ScramTry
from mailserver_py.wire.sasl import Keys
from mailserver_py.wire.sasl.keys import derive_keys

SECRET = "secret"


@cache
def known_keys() -> Keys:
    return derive_keys(SECRET, b"salt", 4096)


class KnownPasswords:
    """Without hashing, counting or waiting."""

    def __init__(self, *accounts: str, offers_scram: bool = False) -> None:
        self.accounts = accounts
        self.offers_scram = offers_scram

    async def verify(self, address: str, password: str, peer_address: str = "") -> str | None:
        return address if password == SECRET and address in self.accounts else None

    async def begin_scram(self, address: str, peer_address: str = "") -> ScramTry:
        return ScramTry(known_keys(), address)

    def end_scram(self, begun: ScramTry, *, proven: bool) -> str | None:
        return begun.account if proven and begun.account in self.accounts else None
