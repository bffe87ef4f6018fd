"""Certificates by ACME (RFC 8555) with HTTP-01, through certbot's own library; renewal times by ARI (RFC 9773).

The answer to the challenge is a file in the runtime folder, which every worker serves on port 80. What the
authority says goes wrong is told in the operator's terms: the next step is nearly always a DNS record or a port.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import certifi
import requests
from acme import challenges, client, crypto_util, errors, messages
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from josepy.jwa import ES256, RS256, JWASignature
from josepy.jwk import JWK, JWKEC, JWKRSA

from mailserver_py.errors import OperatorError, Reason, WorldError

from .certificate import Issued, write_whole

PATIENCE = timedelta(seconds=120)
"""For one order; authorities take seconds, and the unit ends the job at 300 s."""
ANSWER_S = 30
"""One answer of the authority."""
ASK_AGAIN = timedelta(hours=6)
"""Until the next question about renewal, unless the authority says otherwise (RFC 9773 §4.3.3)."""
TOKEN = re.compile(r"[A-Za-z0-9_-]{16,256}")
"""RFC 8555 §8.3: base64url of at least 128 bits; it becomes a file name."""
DEBIAN_ROOTS = "/etc/ssl/certs/ca-certificates.crt"

NONCE_TRIES_COUNT = 60
"""A nonce may be refused at any time (RFC 8555 §6.5); the library tries twice, an overworked authority needs more.
At nine refusals of ten, as the tests set it, one request in three hundred thousand would still fail."""

CURES = {
    "dns": "publish the site's DNS records (`mailserver publish SITE`) and give them a minute",
    "connection": "port 80 of this host must be reachable from the Internet: a firewall or a router stands before it?",
    "unauthorized": "another machine answered under this name: do the A and AAAA records name this host?",
    "caa": "the domain's CAA records forbid this authority",
    "rateLimited": "the authority wants a pause; the timer asks again",
}
"""By the last part of an ACME error's type (RFC 8555 §6.7)."""


class PatientNetwork(client.ClientNetwork):
    """The library's network, which takes a refused nonce for what it is: an invitation to use the next."""

    def post(self, *arguments: Any, **options: Any) -> requests.Response:
        for _ in range(NONCE_TRIES_COUNT - 1):
            # It takes `new_nonce_url` out of the options, so each try gets its own.
            with _forgiving_a_nonce():
                return super().post(*arguments, **dict(options))
        return super().post(*arguments, **options)


@contextmanager
def _forgiving_a_nonce() -> Iterator[None]:
    try:
        yield
    except messages.Error as error:
        if error.code != "badNonce":
            raise


@dataclass
class Authority:
    """One ACME authority, as this host's account holder."""

    directory: str
    contact: str
    account_key: bytes
    """PEM; the account is found again by it (RFC 8555 §7.3.1)."""
    tokens: Path
    """Folder from which the workers answer HTTP-01."""
    ca_file: str = ""
    """Who vouches for the directory; empty: whom the system trusts."""
    user_agent: str = field(default="mailserver-py")

    def obtain(self, hostname: str, key: bytes) -> Issued:
        """A chain for the host's name and key. Raises WorldError with the next step."""
        with self._told_in_our_words(hostname):
            self._sign_in()
            order = self._client.new_order(crypto_util.make_csr(key, [hostname]))
            with self._answers(order):
                done = self._client.poll_and_finalize(order, _deadline())
            return Issued(done.fullchain_pem.encode("ascii"), "acme", self.directory)

    def ask_renewal(self, chain: bytes) -> tuple[datetime | None, datetime]:
        """When the authority wants this chain renewed (None: it has no opinion), and when to ask again.

        Never raises for the network's sake: without an answer, the life that is left decides.
        """
        again = datetime.now(UTC) + ASK_AGAIN
        try:
            renew_at, next_at = self._client.renewal_time(chain)
        except (errors.Error, requests.RequestException, WorldError, ValueError):
            return None, again
        # The library's `next_at` is local and naive; RFC 9773 §4.3.2 bounds what an authority may ask for.
        wanted = next_at.astimezone(UTC)
        return renew_at, min(
            max(wanted, datetime.now(UTC) + timedelta(minutes=1)), again + timedelta(hours=18)
        )

    @cached_property
    def _client(self) -> client.ClientV2:
        key, algorithm = _account(self.account_key)
        # Handed through to requests, which takes the name of a file as well as a truth value.
        roots = cast("bool", self._roots)
        net = PatientNetwork(
            key, alg=algorithm, verify_ssl=roots, user_agent=self.user_agent, timeout=ANSWER_S
        )
        with self._told_in_our_words(""):
            return client.ClientV2(client.ClientV2.get_directory(self.directory, net), net)

    @property
    def _roots(self) -> str:
        if self.ca_file:
            return self.ca_file
        paths = ssl.get_default_verify_paths()
        return next((p for p in (DEBIAN_ROOTS, paths.cafile) if p and Path(p).exists()), certifi.where())

    def _sign_in(self) -> None:
        new = messages.NewRegistration.from_data(email=self.contact or None, terms_of_service_agreed=True)
        try:
            self._client.net.account = self._client.new_account(new)
        except errors.ConflictError as known:
            body = messages.Registration()
            self._client.net.account = messages.RegistrationResource(body=body, uri=known.location)

    @contextmanager
    def _answers(self, order: messages.OrderResource) -> Iterator[None]:
        """Lays out the answer to every pending authorization, tells the authority, and clears up afterwards."""
        files = []
        try:
            for authorization in order.authorizations:
                if authorization.body.status == messages.STATUS_VALID:
                    continue
                body = _http_01(authorization)
                response, answer = body.response_and_validation(self._client.net.key)
                token = body.chall.encode("token")
                if not TOKEN.fullmatch(token):
                    raise WorldError(f"the authority's token is no token: {token[:40]!r}")
                files.append(self.tokens / token)
                write_whole(files[-1], answer.encode("ascii"))
                self._client.answer_challenge(body, response)
            yield
        finally:
            for file in files:
                with suppress(OSError):
                    file.unlink()

    @contextmanager
    def _told_in_our_words(self, hostname: str) -> Iterator[None]:
        try:
            yield
        except errors.ValidationError as refusal:
            raise WorldError("\n".join(_problems(refusal, hostname))) from None
        except errors.IssuanceError as refusal:
            raise WorldError(_told(refusal.error, hostname)) from None
        except messages.Error as refusal:
            raise WorldError(_told(refusal, hostname)) from None
        except errors.TimeoutError:
            raise WorldError(f"{self.directory} did not decide within {PATIENCE.seconds} s") from None
        except (errors.Error, requests.RequestException, OSError) as error:
            text = str(error) or type(error).__name__
            raise WorldError(f"{self.directory} cannot be used now: {text[:400]}") from None


def _account(pem: bytes) -> tuple[JWK, JWASignature]:
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        key = None
    if isinstance(key, rsa.RSAPrivateKey):
        return JWKRSA(key=key), RS256
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return JWKEC(key=key), ES256
    raise OperatorError(
        Reason("the secret `acme-account` is no RSA or P-256 key", "delete it and run `mailserver keys`")
    )


def _http_01(authorization: messages.AuthorizationResource) -> messages.ChallengeBody:
    for body in authorization.body.challenges:
        if isinstance(body.chall, challenges.HTTP01):
            return body
    raise WorldError(f"the authority offers no HTTP-01 for {authorization.body.identifier.value}")


def _problems(refusal: errors.ValidationError, hostname: str) -> Iterator[str]:
    for authorization in refusal.failed_authzrs:
        for body in authorization.body.challenges:
            if body.error is not None:
                yield _told(body.error, hostname)


def _told(problem: messages.Error, hostname: str) -> str:
    """An ACME problem as a sentence with the next step."""
    kind = (problem.typ or "").rpartition(":")[2]
    if kind == "connection" and "resolve" in (problem.detail or ""):
        kind = "dns"  # pebble's word for it
    cure = CURES.get(kind, "")
    name = f" for {hostname}" if hostname else ""
    detail = " ".join((problem.detail or problem.title or kind or "no reason given").split())[:300]
    return f"the authority refuses a certificate{name}: {detail}" + (f"\n    → {cure}" if cure else "")


def _deadline() -> datetime:
    return datetime.now() + PATIENCE  # the library compares with local, naive time
