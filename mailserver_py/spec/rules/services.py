"""Rules about services: doors, certificates, DNS, limits, verification."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from ..address_plan import is_ours
from ..model import MailSpec
from ..source import Loc
from .shape import Finding

SHORTEST_TTL_S, LONGEST_TTL_S = 60, 7 * 86_400
"""Below a minute resolvers ask for every letter (a lab may); above a week a mistake outlives all patience."""

SMALLEST_LETTER_BYTES = 65_536
"""RFC 5321 §4.5.3.1.7: 64K octets must be accepted."""

SHORTEST_RETRY_S = 60
"""Less is hammering; RFC 5321 §4.5.4.1 asks for 30 minutes at least after the first tries."""

SHORTEST_EVERY_S = 300
"""A round of verification takes up to a minute, and sends letters to a stranger."""


def some_door_is_open(spec: MailSpec) -> Iterator[Finding]:
    """A server without listeners is a mistake."""
    if not any(spec.listeners.model_dump().values()):
        yield Finding(("listeners",), "every listener is closed", "open at least `smtp` and `imaps`")


def certificates_have_one_source(spec: MailSpec) -> Iterator[Finding]:
    """`files` needs a file, and a file needs `files`."""
    tls = spec.tls
    if tls.source == "files" and tls.certificate is None:
        cure = "add `certificate: chain.pem` to `tls`, and its key with `mailserver keys SITE --import tls-key FILE`"
        yield Finding(("tls", "source"), "`source: files` names no certificate", cure)
    if tls.source != "files" and tls.certificate is not None:
        text = f"a certificate is named, but the source is {tls.source}"
        yield Finding(("tls", "certificate"), text, "write `source: files`, or remove `certificate`")


def acme_is_usable(spec: MailSpec) -> Iterator[Finding]:
    """The authority's terms are the operator's to accept; its directory is a secure address."""
    acme = spec.tls.acme
    if spec.tls.source != "acme":
        return
    if not acme.agree_to_terms:
        text = "without agreeing to its terms the authority gives no certificate"
        yield Finding(("tls", "acme", "agree_to_terms"), text, "agree, or use `source: files`")
    parts = urlsplit(acme.directory)
    if parts.scheme != "https" or not parts.hostname:
        text = f"{acme.directory!r} is no ACME directory"
        yield Finding(("tls", "acme", "directory"), text, "an `https://…` address is meant")


def dns_is_complete(spec: MailSpec) -> Iterator[Finding]:
    """Publishing needs a server and a key's name; addresses are addresses."""
    rule = spec.dns.rfc2136
    if spec.dns.publish == "rfc2136" and rule is None:
        cure = "add `rfc2136: {server: …, key_name: …}` to `dns`"
        yield Finding(("dns", "publish"), "`publish: rfc2136` needs to know the server and the key", cure)
    if rule is not None:
        yield from _server(("dns", "rfc2136", "server"), rule.server)
        if not rule.key_name.strip(".") or any(letter.isspace() for letter in rule.key_name):
            text = f"{rule.key_name!r} is no key name"
            yield Finding(("dns", "rfc2136", "key_name"), text, "write it as in the server's configuration")
    if spec.dns.resolver is not None:
        yield from _server(("dns", "resolver"), spec.dns.resolver)
    shortest_s = SHORTEST_TTL_S if any(host.network == "public" for host in spec.hosts.values()) else 1
    if not shortest_s <= spec.dns.ttl <= LONGEST_TTL_S:
        text = f"a time to live of {spec.dns.ttl.render()} is out of reason"
        yield Finding(("dns", "ttl"), text, "`1h` is usual; between `1min` and `7d`")


def limits_fit_together(spec: MailSpec) -> Iterator[Finding]:
    """A letter fits into an account, and an account can hold one."""
    limits = spec.limits
    if limits.message_size < SMALLEST_LETTER_BYTES:
        text = f"letters of {limits.message_size.render()} are smaller than every server must accept"
        yield Finding(("limits", "message_size"), text, "at least `64 KiB` (RFC 5321 §4.5.3.1.7)")
    if limits.account_quota < limits.message_size:
        text = "an account is smaller than one letter"
        yield Finding(("limits", "account_quota"), text, "raise it, or lower `message_size`")
    for address, account in spec.accounts.items():
        if account.quota is not None and account.quota < limits.message_size:
            text = f"the account of {address} is smaller than one letter"
            yield Finding(("accounts", address, "quota"), text, f"at least {limits.message_size.render()}")


def the_queue_waits_in_reason(spec: MailSpec) -> Iterator[Finding]:
    """Retries that come too fast are hostile, and giving up before the first retry is none."""
    queue = spec.queue
    if not queue.retry:
        yield Finding(
            ("queue", "retry"), "no retry is named", "remove `retry:` for the default, or name waits"
        )
    for index, wait in enumerate(queue.retry):
        if wait < SHORTEST_RETRY_S:
            text = f"a retry after {wait.render()} is hammering"
            yield Finding(("queue", "retry", index), text, "at least `1min`")
    if queue.retry and queue.give_up <= queue.retry[0]:
        text = f"giving up after {queue.give_up.render()} leaves no time for a retry"
        yield Finding(("queue", "give_up"), text, "`5d` is usual (RFC 5321 §4.5.4.1)")


def removal_is_not_instant(spec: MailSpec) -> Iterator[Finding]:
    """Zero days in the trash is deleting at once, which nobody means."""
    for field in ("junk", "trash", "logs"):
        if getattr(spec.retention, field) == 0:
            yield Finding(
                ("retention", field), f"`{field}` would be removed at once", "write a time such as `30d`"
            )


def verification_is_possible(spec: MailSpec) -> Iterator[Finding]:
    """A stranger is elsewhere, and its doors are named with their ports."""
    rule = spec.verification
    if rule.every is not None and rule.every < SHORTEST_EVERY_S:
        text = f"a verification every {rule.every.render()} is never done"
        yield Finding(("verification", "every"), text, "at least `5min`; `1h` is usual")
    if rule.stranger is None:
        return
    if is_ours(spec, rule.stranger.address):
        text = f"the stranger {rule.stranger.address} is in a domain of ours"
        yield Finding(("verification", "stranger", "address"), text, "name a mailbox at another provider")
    for field in ("smtp", "imap"):
        host, _, port = getattr(rule.stranger, field).rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65_536:
            text = f"{getattr(rule.stranger, field)!r} is no `host:port`"
            example = "mail.example.net:465" if field == "smtp" else "mail.example.net:993"
            yield Finding(("verification", "stranger", field), text, f"write it as `{example}`")


def _server(loc: Loc, text: str) -> Iterator[Finding]:
    """An address with an optional port; names would have to be looked up by what they name."""
    host, port = text, "53"
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if not _is_address(host) or not port.isdigit() or not 0 < int(port) < 65_536:
        cure = "write `192.0.2.53`, `192.0.2.53:5353` or `[2001:db8::53]:5353`"
        yield Finding(loc, f"{text!r} is no address of a DNS server", cure)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


RULES = (
    some_door_is_open,
    certificates_have_one_source,
    acme_is_usable,
    dns_is_complete,
    limits_fit_together,
    the_queue_waits_in_reason,
    removal_is_not_instant,
    verification_is_possible,
)
