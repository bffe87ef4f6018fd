"""The slice of the spec that one host needs, as the daemon reads it: `/etc/mailserver/settings.json`.

`derive_settings` is pure and deterministic, so that a second deploy finds the same bytes. No secret is in here.
"""

from __future__ import annotations

from .model import Limits, Listeners, Model, QueueRules, Retention


class Identity(Model):
    """A DKIM key that letters of a domain are signed with; the private half is the credential `dkim.<selector>.<domain>`."""

    selector: str
    algorithm: str
    """`rsa-sha256` or `ed25519-sha256`."""


class DomainSettings(Model):
    catch_all: str = ""
    dkim: tuple[Identity, ...] = ()


class AccountSettings(Model):
    display_name: str = ""
    quota_bytes: int
    enabled: bool = True
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
    """Alias and group addresses (postmaster and abuse included) → final targets, resolved: local primary addresses or
    outside addresses. Primary addresses stand for themselves and are not repeated here."""
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
