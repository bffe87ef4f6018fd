"""SPF records: RFC 7208 §4.5 (which one), §4.6, §5, §6 and §12 (the grammar)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from .macro import Pieces, parse_domain_spec, parse_macro_string

_DIRECTIVE = re.compile(r"([+\-?~]?)([A-Za-z][A-Za-z0-9\-_.]*)(?:([:/])(.*))?", re.DOTALL)
_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9\-_.]*)=(.*)", re.DOTALL)
_DUAL_CIDR = re.compile(r"(.*?)(?:/(0|[1-9][0-9]?))?(?://(0|[1-9][0-9]{0,2}))?", re.DOTALL)
_QNUM = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IP4 = re.compile(rf"{_QNUM}(?:\.{_QNUM}){{3}}(?:/(?:[12]?[0-9]|3[0-2]))?", re.ASCII)
_IP6 = re.compile(r"[0-9A-Fa-f:.]+(?:/(?:0|[1-9][0-9]{0,2}))?", re.ASCII)

VERSION = "v=spf1"


@dataclass(frozen=True, slots=True)
class Directive:
    """A mechanism and what a match means."""

    qualifier: str
    """One of `+ - ~ ?`."""
    mechanism: str
    domain: Pieces | None = None
    """None: the domain that is being checked."""
    ipv4_bits: int = 32
    ipv6_bits: int = 128
    network: IPv4Network | IPv6Network | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A record that is valid to its last term."""

    directives: tuple[Directive, ...]
    redirect: Pieces | None = None
    explanation: Pieces | None = None


def select_records(texts: Sequence[bytes]) -> list[bytes]:
    """Those of a name's TXT records that are SPF records (§4.5)."""
    version = VERSION.encode()
    return [text for text in texts if text[:6].lower() == version and text[6:7] in (b"", b" ")]


def parse_record(text: bytes) -> Record | None:
    """The record, or None when anything in it is wrong (§4.6: a permerror)."""
    if not text.isascii():
        return None
    terms = text.decode("ascii").split(" ")
    if terms[0].lower() != VERSION:
        return None
    directives: list[Directive] = []
    modifiers: dict[str, Pieces] = {}
    for term in filter(None, terms[1:]):
        modifier = _MODIFIER.fullmatch(term)
        if modifier is not None:
            name = modifier[1].lower()
            known = name in ("redirect", "exp")
            pieces = parse_domain_spec(modifier[2]) if known else parse_macro_string(modifier[2])
            if pieces is None or (known and name in modifiers):
                return None
            if known:
                modifiers[name] = pieces
            continue
        directive = _parse_directive(term)
        if directive is None:
            return None
        directives.append(directive)
    return Record(tuple(directives), modifiers.get("redirect"), modifiers.get("exp"))


def _parse_directive(term: str) -> Directive | None:
    match = _DIRECTIVE.fullmatch(term)
    if match is None:
        return None
    qualifier, mechanism, separator, rest = match[1] or "+", match[2].lower(), match[3], match[4] or ""
    if mechanism == "all":
        return None if separator else Directive(qualifier, mechanism)
    if mechanism in ("ip4", "ip6"):
        network = _parse_network(mechanism, rest) if separator == ":" else None
        return Directive(qualifier, mechanism, network=network) if network is not None else None
    if mechanism in ("include", "exists"):
        domain = parse_domain_spec(rest) if separator == ":" else None
        return Directive(qualifier, mechanism, domain) if domain is not None else None
    if mechanism == "ptr":
        domain = parse_domain_spec(rest) if separator == ":" else None
        return Directive(qualifier, mechanism, domain) if not separator or domain is not None else None
    if mechanism in ("a", "mx"):
        return _parse_host_directive(qualifier, mechanism, separator, rest)
    return None


def _parse_host_directive(
    qualifier: str, mechanism: str, separator: str | None, rest: str
) -> Directive | None:
    """`a` and `mx`: an optional domain, then an optional prefix length for each address family."""
    match = _DUAL_CIDR.fullmatch("/" + rest if separator == "/" else rest)
    if match is None:
        return None
    text, ipv4_text, ipv6_text = match.groups()
    domain = parse_domain_spec(text) if separator == ":" else None
    if (separator == ":" and domain is None) or (separator == "/" and text):
        return None
    ipv4_bits, ipv6_bits = int(ipv4_text or 32), int(ipv6_text or 128)
    if ipv4_bits > 32 or ipv6_bits > 128:
        return None
    return Directive(qualifier, mechanism, domain, ipv4_bits, ipv6_bits)


def _parse_network(mechanism: str, text: str) -> IPv4Network | IPv6Network | None:
    pattern = _IP4 if mechanism == "ip4" else _IP6
    if pattern.fullmatch(text) is None:
        return None
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return None
    return network if isinstance(network, IPv4Network) == (mechanism == "ip4") else None
