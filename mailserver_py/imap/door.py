"""What a session asks of the outside: network, clock, store. The daemon has one such door, the tests another."""

from __future__ import annotations

from typing import Protocol

from ..mailstore.port import Account, Staging
from ..wire.sasl import Claim, Keys, Terms


class Door(Protocol):
    """The world as an IMAP session sees it."""

    async def send(self, data: bytes) -> None:
        """Writes to the client, with back-pressure. Raises ConnectionError."""

    async def start_tls(self) -> None:
        """Becomes TLS. Raises ConnectionError."""

    @property
    def terms(self) -> Terms:
        """What SASL may offer on this connection, as it is now."""

    async def sasl_keys(self, user: str) -> tuple[Keys, str]:
        """The user's keys, or made-up ones, and a fresh nonce (`wire.sasl.SaslServer.give`)."""

    async def log_in(self, claim: Claim) -> Account | None:
        """The account this opens, or None, after the delay that a failure costs. Raises StoreError."""

    def log_out(self) -> None:
        """The account of before is not this session's any more."""

    def stage(self) -> Staging:
        """A place for a letter's octets."""

    async def pause(self) -> None:
        """Lets other sessions run: what comes next is a long piece of work."""

    def now_s(self) -> int:
        """Seconds since the epoch."""

    def incident(self, error: BaseException) -> str:
        """Writes a bug of ours to the log; the id that the client may be told."""
