"""Addresses as people, specs and sessions name them: RFC 5321 §4.1.2, RFC 6531 §3.3, domains by RFC
5890-5895.

Unlike the rest of the room this refuses: what is compared with the accounts we know must be exactly one
address. A comparison is always of `Address.key`; what was typed is kept for display.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

import idna

LOCAL_BYTES_LIMIT = 64
"""RFC 5321 §4.5.3.1.1."""
DOMAIN_BYTES_LIMIT = 255
"""RFC 5321 §4.5.3.1.2; also keeps `idna`, whose cost grows faster than its input, at its cheap end."""

_DOT_ATOM = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]+)*"
)
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~\x80-\U0010ffff]|\\[ -~])*)"')
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_HOSTILE_CATEGORIES = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"))
"""What cannot be seen, or moves what is seen: zero-width, bidirectional controls, other spaces (promises
S42)."""


class AddressError(ValueError):
    """The text is no address; the message says why, without repeating it."""


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox: local part without its quoting, domain as it was given or a bracketed address literal."""

    local: str
    domain: str

    def serialize(self) -> str:
        """As it stands in a header or a path, quoted only where the grammar needs it."""
        if _DOT_ATOM.fullmatch(self.local):
            return f"{self.local}@{self.domain}"
        escaped = self.local.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"@{self.domain}'

    __str__ = serialize

    @property
    def key(self) -> str:
        """The form that equal addresses share: NFC, lower case, the domain in A-labels.

        Deviation: RFC 5321 §2.4 lets local parts differ by case; ours never do, and no sender's do either.
        """
        domain = self.domain.lower() if self.domain.startswith("[") else a_labels(self.domain)
        return Address(unicodedata.normalize("NFC", self.local).lower(), domain).serialize()

    @property
    def is_ascii(self) -> bool:
        """Whether it can be used without SMTPUTF8."""
        return self.local.isascii() and self.domain.isascii()


def parse_address(text: str) -> Address:
    """`local@domain` and nothing around it. Raises AddressError."""
    local_text, at_sign, domain = text.rpartition("@")
    if not at_sign:
        raise AddressError("there is no @")
    local = _parse_local(local_text)
    if domain.startswith("["):
        _check_literal(domain)
    else:
        a_labels(domain)
    return Address(local, domain)


def a_labels(domain: str) -> str:
    """A domain in the form that DNS and comparisons use (RFC 5890 §2.3.2.1), lower case. Raises
    AddressError."""
    if len(domain) > DOMAIN_BYTES_LIMIT:
        raise AddressError("the domain is too long")
    if domain.isascii():
        ascii_domain = domain.lower()
    else:
        try:
            ascii_domain = idna.encode(domain, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            raise AddressError("the domain is no internationalised domain name") from None
    # One without a dot is a name of this machine or network only, but it is a domain.
    if not ascii_domain or len(ascii_domain) > DOMAIN_BYTES_LIMIT:
        raise AddressError("the domain is empty or too long")
    if not all(_LABEL.fullmatch(label) for label in ascii_domain.split(".")):
        raise AddressError("the domain has an empty, too long or malformed label")
    return ascii_domain


def u_labels(domain: str) -> str:
    """A domain as people read it; a label that is no valid A-label stays as it is."""
    return ".".join(_u_label(label) for label in domain.split("."))


def _u_label(label: str) -> str:
    if label[:4].lower() != "xn--":
        return label
    try:
        return idna.decode(label)
    except (idna.IDNAError, UnicodeError):
        return label


def _parse_local(text: str) -> str:
    if not text:
        raise AddressError("there is nothing before the @")
    if len(text.encode("utf-8", "replace")) > LOCAL_BYTES_LIMIT:
        raise AddressError(f"the part before the @ is longer than {LOCAL_BYTES_LIMIT} octets")
    local = text
    if not _DOT_ATOM.fullmatch(text):
        quoted = _QUOTED.fullmatch(text)
        if quoted is None:
            raise AddressError("the part before the @ has a character or a dot that needs quoting")
        local = re.sub(r"\\(.)", r"\1", quoted[1])
        if not local:
            raise AddressError("there is nothing before the @")
    if any(unicodedata.category(char) in _HOSTILE_CATEGORIES and char != " " for char in local):
        raise AddressError("the part before the @ has an invisible or control character")
    return local


def _check_literal(domain: str) -> None:
    """`[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3)."""
    inner = domain[1:-1]
    try:
        if not domain.endswith("]"):
            raise AddressError("the address literal does not end")
        if inner[:5].lower() == "ipv6:":
            if "%" in inner:
                raise AddressError("an address literal has no zone")
            IPv6Address(inner[5:])
        else:
            IPv4Address(inner)
    except AddressValueError:
        raise AddressError("the address literal is no IP address") from None
