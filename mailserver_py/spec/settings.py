"""The slice of the spec that one host needs, as the daemon reads it: `/etc/mailserver/settings.json`.

`derive_settings` is pure and deterministic, so that a second deploy finds the same bytes. No secret is in
here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .address_plan import plan_addresses, postmaster, verification_account
from .model import Limits, Listeners, MailSpec, Model, QueueRules, Retention

LOG_NAMESPACE = "mailserver"
"""Of journald: what our units say lies in a journal of its own, `journalctl --namespace=mailserver`. What systemd says
of the units stays in the host's; `+mailserver` shows both."""


class PublicKey(NamedTuple):
    """The public half of a DKIM key, as it stands in the site's `public/` folder."""

    selector: str
    algorithm: str
    """`rsa-sha256` or `ed25519-sha256`."""
    pem: bytes


PublicKeys = Mapping[str, Sequence[PublicKey]]
"""By domain."""


class Identity(Model):
    """A DKIM key that letters of a domain are signed with; the private half is the credential
    `dkim.<selector>.<domain>`."""

    selector: str
    algorithm: str
    """`rsa-sha256` or `ed25519-sha256`."""


class DomainSettings(Model):
    """What the host does with mail for, and from, one domain."""

    catch_all: str = ""
    """An account, or an address that stands in `addresses`; empty: unknown recipients are refused."""
    dkim: tuple[Identity, ...] = ()


class AccountSettings(Model):
    """One mailbox; its password's hash is in the credentials."""

    display_name: str = ""
    quota_bytes: int
    enabled: bool = True
    hold: bool = False
    """Under legal hold: nothing is removed for good."""
    send_as: tuple[str, ...] = ()
    """Every address this account may send as, its own included."""


class HostSettings(Model):
    """All that the daemon on one host knows of the wish."""

    hostname: str
    os_user: str
    workers: int
    domains: dict[str, DomainSettings]
    accounts: dict[str, AccountSettings]
    """By primary address, the verification account included."""
    addresses: dict[str, tuple[str, ...]]
    """Alias and group addresses (postmaster and abuse included) → final targets, resolved: local primary
    addresses or outside addresses. Primary addresses stand for themselves and are not repeated here."""
    subaddress_separator: str
    listeners: Listeners
    limits: Limits
    queue: QueueRules
    retention: Retention
    tls_source: str
    acme_directory: str = ""
    acme_contact: str = ""
    acme_ca_file: str = ""
    resolver: str = ""
    verification_account: str = ""
    """The one of `accounts` that is no person's: verification's test letters."""
    postmaster: str = ""
    """Who reads postmaster@: a local primary or an outside address."""
    ipv4: str = ""
    """The host's own addresses, which outgoing mail leaves from; empty when there is none."""
    ipv6: str = ""


def derive_settings(spec: MailSpec, host_name: str, public_keys: PublicKeys) -> HostSettings:
    """The slice for one host. Raises KeyError for a host that the spec does not have.

    Domains without keys get none here: whether keys are missing is `SiteKeys.missing`'s question.
    """
    host = spec.hosts[host_name]
    plan = plan_addresses(spec)
    quota = spec.limits.account_quota
    accounts = {
        address: AccountSettings(
            display_name=account.display_name,
            quota_bytes=int(quota if account.quota is None else account.quota),
            enabled=account.enabled,
            hold=account.hold,
            send_as=plan.senders[address],
        )
        for address, account in spec.accounts.items()
    }
    tests = verification_account(spec)
    accounts.setdefault(tests, AccountSettings(quota_bytes=int(quota), send_as=(tests,)))
    reader = postmaster(spec)
    acme = spec.tls.acme
    uses_acme = spec.tls.source == "acme"
    return HostSettings(
        hostname=host_name,
        os_user=host.os_user,
        workers=host.workers,
        domains={
            name: DomainSettings(
                catch_all=domain.catch_all or "",
                dkim=tuple(
                    Identity(selector=key.selector, algorithm=key.algorithm)
                    for key in public_keys.get(name, ())
                ),
            )
            for name, domain in spec.domains.items()
        },
        accounts=accounts,
        addresses=dict(sorted(plan.targets.items())),
        subaddress_separator=spec.subaddress_separator,
        listeners=spec.listeners,
        limits=spec.limits,
        queue=spec.queue,
        retention=spec.retention,
        tls_source=spec.tls.source,
        acme_directory=acme.directory if uses_acme else "",
        acme_contact=(acme.contact or f"postmaster@{next(iter(spec.domains))}") if uses_acme else "",
        acme_ca_file=(acme.ca_file or "") if uses_acme else "",
        resolver=spec.dns.resolver or "",
        verification_account=tests,
        postmaster=next(iter(plan.targets.get(reader, (reader,))), reader),
        ipv4=str(host.ipv4 or ""),
        ipv6=str(host.ipv6 or ""),
    )
