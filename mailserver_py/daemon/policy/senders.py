"""As whom an account may send: the addresses it owns, and their subaddresses. RFC 6409 §6.1 lets a submission
server check that; without it every account could forge every other, under our signature.
"""

from __future__ import annotations

from mailserver_py.message.address import Address, AddressError, parse_address
from mailserver_py.message.addresslist import mailboxes_of, parse_address_list
from mailserver_py.message.header import Header
from mailserver_py.smtp.paths import Path
from mailserver_py.smtp.replies import Reply
from mailserver_py.spec.settings import HostSettings

from . import replies


class Senders:
    """Who owns which address."""

    def __init__(self, settings: HostSettings) -> None:
        self._separator = settings.subaddress_separator
        self._owned = {
            name: frozenset(_key(address) for address in (name, *account.send_as))
            for name, account in settings.accounts.items()
        }

    def owns(self, account: str, address: str) -> bool:
        """Whether the account may use the address as a sender."""
        owned = self._owned.get(account, frozenset())
        try:
            parsed = parse_address(address)
            if parsed.key in owned:
                return True
            base, separator, _ = parsed.local.partition(self._separator) if self._separator else ("", "", "")
            return bool(separator and base) and Address(base, parsed.domain).key in owned
        except AddressError:
            return False

    def check_path(self, account: str, path: Path) -> Reply | None:
        """The refusal of a reverse-path, or None. The null one is anybody's: read receipts have it."""
        if not path.local or self.owns(account, path.serialize()):
            return None
        return replies.NOT_YOUR_ADDRESS

    def check_header(self, account: str, header: Header) -> Reply | None:
        """The refusal of a letter's From, or None: one field, and every mailbox in it owned."""
        fields = header.all(b"From")
        if len(fields) != 1:
            return replies.BAD_FROM
        mailboxes = mailboxes_of(parse_address_list(fields[0].raw_value))
        if not mailboxes:
            return replies.BAD_FROM
        for mailbox in mailboxes:
            address = Path(
                mailbox.local.decode("utf-8", "replace"), mailbox.domain.decode("utf-8", "replace")
            )
            if not self.owns(account, address.serialize()):
                return replies.NOT_YOUR_ADDRESS
        return None


def _key(address: str) -> str:
    try:
        return parse_address(address).key
    except AddressError:
        return address
