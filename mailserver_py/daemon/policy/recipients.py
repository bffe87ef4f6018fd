"""Who a forward-path reaches: primary addresses, aliases, groups, subaddresses, catch-all, or the world.

Order: the whole local part first, then the part before the subaddress separator (RFC 5233 §4), then the domain's
catch-all. So an alias that itself has a separator in it wins over the account it looks like a subaddress of.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailserver_py.mailstore.values import NewRecipient
from mailserver_py.message.address import AddressError, a_labels, parse_address
from mailserver_py.smtp.paths import Path
from mailserver_py.smtp.replies import Reply
from mailserver_py.spec.settings import HostSettings

from . import replies


class Recipients:
    """Resolves forward-paths."""

    def __init__(self, settings: HostSettings) -> None:
        self._domains = {a_labels(domain): rule for domain, rule in settings.domains.items()}
        self._first_domain = next(iter(self._domains), "")
        self._separator = settings.subaddress_separator
        self._accounts = {_key(name): name for name in settings.accounts}
        self._enabled = {name for name, account in settings.accounts.items() if account.enabled}
        self._targets: dict[str, tuple[str, ...]] = {key: (name,) for key, name in self._accounts.items()}
        for address, targets in settings.addresses.items():
            # An account's own address stands for itself, whatever an alias says.
            self._targets.setdefault(_key(address), targets)

    def is_local_domain(self, domain: str) -> bool:
        """Whether the domain is ours."""
        try:
            return a_labels(domain) in self._domains
        except AddressError:
            return False

    def resolve(self, path: Path, *, may_relay: bool) -> Sequence[NewRecipient] | Reply:
        """Whom the path reaches, or the refusal. `may_relay`: the sender has logged in."""
        domain = path.domain or self._first_domain  # the bare <postmaster> of RFC 5321 §4.5.1
        original = path.serialize() if path.domain else f"{path.local}@{domain}"
        if not domain.startswith("["):
            try:
                domain = a_labels(domain)
            except AddressError:
                return replies.BAD_DOMAIN if may_relay else replies.RELAYING_DENIED
        rule = self._domains.get(domain)
        if rule is None:
            return (_outside(original),) if may_relay else replies.RELAYING_DENIED
        targets = self._find(path.local, domain)
        if not targets and rule.catch_all:
            targets = self._targets.get(_key(rule.catch_all), ())
        if not targets:
            return replies.NO_SUCH_USER
        resolved = [self._recipient(target, original) for target in targets]
        reached = [recipient for recipient in resolved if recipient is not None]
        return reached or replies.MAILBOX_DISABLED

    def _find(self, local: str, domain: str) -> Sequence[str]:
        targets = self._targets.get(_key(Path(local, domain).serialize()))
        if targets is None and self._separator:
            base, separator, _ = local.partition(self._separator)
            if separator and base:
                targets = self._targets.get(_key(Path(base, domain).serialize()))
        return targets or ()

    def _recipient(self, target: str, original: str) -> NewRecipient | None:
        """One target as it enters the queue; None for a disabled account."""
        account = self._accounts.get(_key(target))
        if account is None:
            return _outside(target, original)
        if account not in self._enabled:
            return None
        return NewRecipient(account, account=account, original=original if original != account else "")


def merge(recipients: Sequence[NewRecipient]) -> tuple[NewRecipient, ...]:
    """Each mailbox and each outside address once, as first named."""
    found: dict[tuple[str, str], NewRecipient] = {}
    for recipient in recipients:
        where = (recipient.account, recipient.mailbox if recipient.account else _key(recipient.forward_path))
        found.setdefault(where, recipient)
    return tuple(found.values())


def _outside(address: str, original: str = "") -> NewRecipient:
    return NewRecipient(address, original=original if original != address else "")


def _key(address: str) -> str:
    """The comparing form; an address that is none is only equal to itself."""
    try:
        return parse_address(address).key
    except AddressError:
        return address
