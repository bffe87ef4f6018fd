"""The slice of the spec that a mail host needs to verify itself: `/etc/mailserver/verification.json`.

Of the accounts only the verification account is in it, and no group: what the checks do not look at does not
travel.
"""

from __future__ import annotations

from .address_plan import verification_account
from .model import Account, MailSpec, Model, Secrets
from .settings import PublicKey, PublicKeys


class DkimKey(Model):
    """A public DKIM key, as its record was rendered from it."""

    selector: str
    algorithm: str
    pem: str


class VerificationSlice(Model):
    """What `mailserver verify --on-host` reads."""

    site: str
    spec: MailSpec
    dkim: dict[str, tuple[DkimKey, ...]]
    """By domain."""

    def public_keys(self) -> PublicKeys:
        """The same keys as `spec.keys` gives them at the operator's."""
        return {
            domain: tuple(PublicKey(key.selector, key.algorithm, key.pem.encode("ascii")) for key in keys)
            for domain, keys in self.dkim.items()
        }


def derive_verification(site: str, spec: MailSpec, public_keys: PublicKeys) -> VerificationSlice:
    """The slice; the same for every host of the site, and the same octets for the same wish."""
    tests = verification_account(spec)
    return VerificationSlice(
        site=site,
        spec=spec.model_copy(
            update={
                "accounts": {tests: spec.accounts.get(tests, Account())},
                "groups": {},
                "postmaster": None,
                "secrets": Secrets(),
            }
        ),
        dkim={
            domain: tuple(
                DkimKey(selector=key.selector, algorithm=key.algorithm, pem=key.pem.decode("ascii"))
                for key in keys
            )
            for domain, keys in sorted(public_keys.items())
        },
    )
