"""The house's own SMTP replies, with the status codes of RFC 3463 and RFC 7504 §4."""

from __future__ import annotations

from mailserver_py.mailstore.values import OverQuota, StoreError, StoreFull
from mailserver_py.smtp.replies import Reply, reply

NO_SUCH_USER = reply(550, "5.1.1", "no such mailbox here")
MAILBOX_DISABLED = reply(550, "5.2.1", "mailbox disabled")
RELAYING_DENIED = reply(550, "5.7.1", "we do not relay")
BAD_DOMAIN = reply(550, "5.1.2", "bad domain")
NOT_YOUR_ADDRESS = reply(550, "5.7.1", "not an address that you may send as")
BAD_FROM = reply(550, "5.6.0", "the letter needs exactly one From field")
MAIL_LOOP = reply(554, "5.4.6", "mail loop: too many Received fields")
MAILBOX_FULL = reply(452, "4.2.2", "mailbox full")
SYSTEM_FULL = reply(452, "4.3.1", "insufficient system storage")
STORE_UNAVAILABLE = reply(451, "4.3.0", "mail store unavailable")
TOO_MANY_LOGINS = reply(421, "4.7.0", "closing: too many failed logins")
TOO_MANY_UNKNOWN = reply(421, "4.7.0", "closing: too many unknown recipients")


def of_store_error(error: StoreError) -> Reply:
    """SMTP's table of what the store can say; all of it is temporary, because the letter may yet be kept."""
    if isinstance(error, OverQuota):
        return MAILBOX_FULL
    if isinstance(error, StoreFull):
        return SYSTEM_FULL
    return STORE_UNAVAILABLE
