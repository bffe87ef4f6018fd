"""The spec's wishes for an account, in the store's terms: quota, grace, limits, retention, legal hold."""

from __future__ import annotations

from collections.abc import Callable

from mailserver_py.mailstore.values import AccountRules
from mailserver_py.spec.settings import HostSettings


def derive_rules(settings: HostSettings) -> Callable[[str], AccountRules | None]:
    """What the store asks when it opens an account. None for one that the spec does not have: its rules stay as they
    were, a legal hold among them.
    """
    limits, retention = settings.limits, settings.retention

    def rules_of(name: str) -> AccountRules | None:
        account = settings.accounts.get(name)
        if account is None:
            return None
        return AccountRules(
            quota_bytes=account.quota_bytes,
            message_limit_count=limits.account_messages,
            mailbox_limit_count=limits.account_mailboxes,
            grace_bytes=account.quota_bytes * limits.delivery_grace_percent // 100,
            # Nobody takes back verification's test letters, and there is one every hour.
            kept_for_s=0 if name == settings.verification_account else int(retention.expunged or 0),
            is_held=account.hold,
        )

    return rules_of
