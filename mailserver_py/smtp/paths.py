"""Reverse-paths and forward-paths: RFC 5321 §4.1.2, with the non-ASCII of RFC 6531 §3.3.

A source route is read and dropped (RFC 5321 Appendix C). What looks like routing inside a local part (`%`,
`!`) is only characters. A domain's trailing dot is a syntax error: no address of ours has one, so it can
never slip past a comparison of domains.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address

_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff"
_LETTER = r"A-Za-z0-9\u0080-\U0010ffff"
# Underscores are no host names, but real domains of senders have them, and refusing helps nobody.
_LABEL = rf"[{_LETTER}_](?:[{_LETTER}_\-]*[{_LETTER}_])?"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"
_DOT_STRING = rf"[{_ATEXT}]+(?:\.[{_ATEXT}]+)*"
_QUOTED = r'"(?:[ !#-\[\]-~\u0080-\U0010ffff]|\\[ -~])*"'
_LITERAL = r"\[[!-Z^-~]{1,100}\]"

_PATH = re.compile(
    rf" *<(?:@{_DOMAIN}(?:,@{_DOMAIN})*:)?"
    rf"(?:(?P<dot>{_DOT_STRING})|(?P<quoted>{_QUOTED}))@(?:(?P<domain>{_DOMAIN})|(?P<literal>{_LITERAL}))>"
)
_NULL = re.compile(r" *<>")
_POSTMASTER = re.compile(r" *<(postmaster)>", re.IGNORECASE)
_IPV4 = re.compile(r"(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}", re.ASCII)
_DOT_STRING_ONLY = re.compile(_DOT_STRING)

MAX_DOMAIN_BYTES = 255
"""RFC 5321 §4.5.3.1.2."""
MAX_LABEL_BYTES = 63
"""RFC 1035 §2.3.4; checked on ASCII labels, U-labels are checked when they become A-labels."""


@dataclass(frozen=True, slots=True)
class Path:
    """A mailbox out of a path: local part without its quoting, and domain or bracketed literal as it was
    sent.

    Both empty is the null reverse-path; an empty domain alone is the bare `<postmaster>` of §4.5.1.
    """

    local: str
    domain: str

    def serialize(self) -> str:
        """The mailbox as it stands between angle brackets, quoted only where the grammar needs it."""
        if not self.domain:
            return self.local
        if _DOT_STRING_ONLY.fullmatch(self.local):
            return f"{self.local}@{self.domain}"
        escaped = self.local.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"@{self.domain}'

    @property
    def is_ascii(self) -> bool:
        """Whether it can be used without SMTPUTF8."""
        return self.local.isascii() and self.domain.isascii()


NULL_PATH = Path("", "")


def parse_path(text: str, *, null_allowed: bool) -> tuple[Path, str] | None:
    """A path at the start of `text`, and the rest after it; None when the syntax is wrong.

    `null_allowed` is for MAIL: `<>` is a reverse-path (§4.5.5), and for RCPT `<postmaster>` is one instead.
    """
    match = _PATH.match(text)
    if match is None:
        short = (_NULL if null_allowed else _POSTMASTER).match(text)
        if short is None:
            return None
        return (NULL_PATH if null_allowed else Path(short[1], "")), text[short.end() :]
    dot, quoted, domain, literal = match.group("dot", "quoted", "domain", "literal")
    local = dot if dot is not None else re.sub(r"\\(.)", r"\1", quoted[1:-1])
    if literal is not None:
        if not _is_address_literal(literal[1:-1]):
            return None
        domain = literal
    elif len(domain.encode()) > MAX_DOMAIN_BYTES or (
        domain.isascii() and any(len(label) > MAX_LABEL_BYTES for label in domain.split("."))
    ):
        return None
    return Path(local, domain), text[match.end() :]


def _is_address_literal(text: str) -> bool:
    """IPv4 or tagged IPv6 (§4.1.3); no other tag is registered."""
    if text[:5].lower() == "ipv6:":
        try:
            IPv6Address(text[5:])
        except ValueError:
            return False
        return "%" not in text
    return _IPV4.fullmatch(text) is not None
