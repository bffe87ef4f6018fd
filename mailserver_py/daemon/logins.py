"""The logins of one connection, whatever protocol it speaks: what SASL may offer, a user's keys, and who gets in.

A refused login costs its client a while, is logged with the name that was tried, and looks the same for every
reason.
"""

from __future__ import annotations

import asyncio
import secrets

from mailserver_py.net.connection import Connection
from mailserver_py.wire.sasl import Claim, Keys, Proof, Terms

from .context import DaemonContext, ScramTry

NONCE_BYTES = 24
"""192 random bits: never twice (promises S52)."""

FAILURE_DELAY_S = 1.0
"""A refused login costs its client this at least; what guesses costs more is the password check's to say."""


class Logins:
    """One connection's."""

    def __init__(
        self, connection: Connection, context: DaemonContext, protocol: str, failure_delay_s: float
    ) -> None:
        self._connection = connection
        self._context = context
        self._protocol = protocol
        self._failure_delay_s = failure_delay_s
        self._scram: ScramTry | None = None

    @property
    def terms(self) -> Terms:
        """What SASL may offer now; other things after STARTTLS than before."""
        tls = self._connection.tls
        if tls is None:
            return Terms()
        return Terms(scram=self._context.passwords.offers_scram, bindings=tls.bindings)

    async def keys(self, user: str) -> tuple[Keys, str]:
        """A user's keys for SCRAM, made up for who has none, and a nonce."""
        self._scram = await self._context.passwords.begin_scram(user, self._connection.peer.address)
        return self._scram.keys, secrets.token_urlsafe(NONCE_BYTES)

    async def judge(self, claim: Claim) -> str | None:
        """The account that a claim opens, or None after a while. Nobody may act as another (RFC 4422 §3.4.1)."""
        context, peer = self._context, self._connection.peer.address
        account = None
        if isinstance(claim, Proof):
            begun, self._scram = self._scram, None
            if begun is not None:
                account = context.passwords.end_scram(begun, proven=claim.proven)
        else:
            account = await context.passwords.verify(claim.user, claim.password, peer)
        if account is None or claim.acting_as not in ("", account):
            context.log.event(
                "login.refused",
                protocol=self._protocol,
                peer=peer,
                address=claim.user,
                mechanism=claim.mechanism,
                reason=claim.failure if isinstance(claim, Proof) else "",
            )
            await asyncio.sleep(self._failure_delay_s)
            return None
        context.log.event(
            "login.ok",
            protocol=self._protocol,
            peer=peer,
            account=account,
            mechanism=claim.mechanism,
            tls=self._connection.tls is not None,
        )
        return account
