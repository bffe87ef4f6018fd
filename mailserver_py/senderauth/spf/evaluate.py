"""check_host(): RFC 7208 §4, with the mechanisms of §5, the modifiers of §6 and the limits of §4.6.4."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from ..lookup import Found, Lookup, Status, T
from .macro import Pieces, expand, expand_name, letters, parse_macro_string
from .record import Directive, Record, parse_record, select_records

TERM_COUNT = 10
"""Terms that ask the DNS, includes and redirects counted in (§4.6.4)."""
NAME_COUNT = 10
"""Names of one MX or PTR answer (§4.6.4)."""
VOID_COUNT = 2
"""Questions without an answer that are borne (§4.6.4)."""
EXPLANATION_CHARS = 400
"""It becomes part of an SMTP reply line of 512 octets."""

_LABEL = re.compile(r"[^.\x00-\x1f\x7f]{1,63}")


class Result(Enum):
    """RFC 7208 §2.6."""

    NONE = "none"
    NEUTRAL = "neutral"
    PASS = "pass"  # noqa: S105 - a verdict, no password
    FAIL = "fail"
    SOFTFAIL = "softfail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


_QUALIFIED = {"+": Result.PASS, "-": Result.FAIL, "~": Result.SOFTFAIL, "?": Result.NEUTRAL}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The verdict on one client and identity."""

    result: Result
    domain: str
    """The domain that was checked, as it came."""
    identity: str
    """`mailfrom` or `helo`, the property of RFC 8601 §2.7.2."""
    explanation: str = ""
    """Of the domain's owner, on fail; printable ASCII. A stranger's text: for their logs, not for trust."""


class _End(Exception):
    """The verdict, from deep inside nested checks."""

    def __init__(self, result: Result) -> None:
        super().__init__(result)
        self.result = result


async def evaluate(
    lookup: Lookup,
    *,
    address: str,
    helo: str,
    reverse_path: str,
    receiver: str = "unknown",
    now_s: int = 0,
) -> Evaluation:
    """The verdict on a client at `address`. A null reverse-path is checked as postmaster of the HELO name
    (§2.4).
    """
    identity = "mailfrom" if reverse_path else "helo"
    sender = reverse_path or f"postmaster@{helo}"
    local, _, domain = sender.rpartition("@")
    client = ip_address(address)
    if isinstance(client, IPv6Address) and client.ipv4_mapped is not None:
        client = client.ipv4_mapped
    check = _Check(
        lookup=lookup,
        client=client,
        local=local or "postmaster",
        sender_domain=domain,
        helo=helo,
        receiver=receiver,
        now_s=now_s,
    )
    if not _is_checkable(domain):
        return Evaluation(Result.NONE, domain, identity)
    try:
        result = await check.host(domain)
    except _End as end:
        result = end.result
    explanation = await check.explain() if result is Result.FAIL else ""
    return Evaluation(result, domain, identity, explanation)


def _is_checkable(domain: str) -> bool:
    """§4.3: a multi-label name of well-formed labels; everything else, literals too, is none."""
    labels = domain.removesuffix(".").split(".")
    return len(labels) > 1 and len(domain) <= 254 and all(_LABEL.fullmatch(label) for label in labels)


@dataclass(slots=True)
class _Check:
    """One evaluation: its client, its counters, and where it is."""

    lookup: Lookup
    client: IPv4Address | IPv6Address
    local: str
    sender_domain: str
    helo: str
    receiver: str
    now_s: int
    term_count: int = 0
    void_count: int = 0
    explanation: tuple[Pieces, str] | None = None
    validated: list[str] | None = None

    async def host(self, domain: str, *, included: bool = False) -> Result:
        """The result for one domain; includes and redirects come back here."""
        found = await self.lookup.txt(domain.removesuffix("."))
        if found.status is Status.FAILED:
            return Result.TEMPERROR
        texts = select_records(found.values)
        if not texts:
            return Result.NONE
        record = parse_record(texts[0]) if len(texts) == 1 else None
        if record is None:
            return Result.PERMERROR
        for directive in record.directives:
            if await self._matches(directive, domain):
                result = _QUALIFIED[directive.qualifier]
                if result is Result.FAIL and not included:
                    self._note_explanation(record, domain)
                return result
        if record.redirect is None:
            return Result.NEUTRAL
        self._count_term()
        target = await self._name(record.redirect, domain)
        result = await self.host(target, included=included) if _is_checkable(target) else Result.NONE
        # §6.1: a redirect to where there is no record is the redirecting record's mistake.
        return Result.PERMERROR if result is Result.NONE else result

    async def explain(self) -> str:
        """The owner's explanation (§6.2); anything wrong with it means that there is none."""
        if self.explanation is None:
            return ""
        spec, domain = self.explanation
        found = await self.lookup.txt(await self._name(spec, domain))
        if len(found.values) != 1 or not found.values[0].isascii():
            return ""
        pieces = parse_macro_string(found.values[0].decode("ascii"), explanation=True)
        if pieces is None:
            return ""
        text = expand(pieces, await self._values(pieces, domain))[:EXPLANATION_CHARS]
        return "".join(char if " " <= char <= "~" else "?" for char in text)

    def _note_explanation(self, record: Record, domain: str) -> None:
        self.explanation = (record.explanation, domain) if record.explanation is not None else None

    # ---- mechanisms

    async def _matches(self, directive: Directive, domain: str) -> bool:
        if directive.mechanism == "all":
            return True
        if directive.network is not None:
            return directive.network.version == self.client.version and self.client in directive.network
        self._count_term()
        target = domain if directive.domain is None else await self._name(directive.domain, domain)
        return await _MECHANISMS[directive.mechanism](self, directive, target)

    async def _include(self, _: Directive, target: str) -> bool:
        result = await self.host(target, included=True) if _is_checkable(target) else Result.NONE
        if result is Result.TEMPERROR:
            raise _End(Result.TEMPERROR)
        if result in (Result.PERMERROR, Result.NONE):
            raise _End(Result.PERMERROR)
        return result is Result.PASS

    async def _a(self, directive: Directive, target: str) -> bool:
        return await self._has_address(directive, target)

    async def _mx(self, directive: Directive, target: str) -> bool:
        names = self._answer(await self._ask(self.lookup.mx, target))
        if len(names) > NAME_COUNT:
            raise _End(Result.PERMERROR)
        for name in names:
            if await self._has_address(directive, name):
                return True
        return False

    async def _exists(self, _: Directive, target: str) -> bool:
        # Always A, whatever the client's family (§5.7).
        return bool(self._answer(await self._ask(self._ipv4, target)))

    async def _ptr(self, _: Directive, target: str) -> bool:
        wanted = target.removesuffix(".").lower()
        return any(name == wanted or name.endswith("." + wanted) for name in await self._validated_names())

    async def _has_address(self, directive: Directive, name: str) -> bool:
        bits = directive.ipv4_bits if self.client.version == 4 else directive.ipv6_bits
        for text in self._answer(await self._ask(self._own_family, name)):
            if self.client in ip_network(f"{text}/{bits}", strict=False):
                return True
        return False

    async def _validated_names(self) -> list[str]:
        """Names that the client's address claims and that claim it back (§5.5); DNS trouble means none."""
        if self.validated is None:
            self.validated = []
            for claimed in (await self.lookup.ptr(str(self.client))).values[:NAME_COUNT]:
                name = claimed.removesuffix(".")
                if str(self.client) in (await self._own_family(name)).values:
                    self.validated.append(name.lower())
        return self.validated

    # ---- questions and limits

    async def _own_family(self, name: str) -> Found[str]:
        return await self.lookup.addresses(name, 4 if self.client.version == 4 else 6)

    async def _ipv4(self, name: str) -> Found[str]:
        return await self.lookup.addresses(name, 4)

    async def _ask(self, question: Callable[[str], Awaitable[Found[T]]], name: str) -> Found[T]:
        name = name.removesuffix(".")
        # A name that cannot exist needs no question (§4.3's words on malformed domains, for targets: §4.8).
        malformed = not all(_LABEL.fullmatch(label) for label in name.split("."))
        return Found(Status.ABSENT) if malformed else await question(name)

    def _answer(self, found: Found[T]) -> tuple[T, ...]:
        if found.status is Status.FAILED:
            raise _End(Result.TEMPERROR)
        if found.status is Status.ABSENT or not found.values:
            self.void_count += 1
            if self.void_count > VOID_COUNT:
                raise _End(Result.PERMERROR)
        return found.values

    def _count_term(self) -> None:
        self.term_count += 1
        if self.term_count > TERM_COUNT:
            raise _End(Result.PERMERROR)

    # ---- macros

    async def _name(self, pieces: Pieces, domain: str) -> str:
        return expand_name(pieces, await self._values(pieces, domain))

    async def _values(self, pieces: Pieces, domain: str) -> Mapping[str, str]:
        """§7.2, `p` only when it is asked for."""
        is_v4 = self.client.version == 4
        values = {
            "s": f"{self.local}@{self.sender_domain}",
            "l": self.local,
            "o": self.sender_domain,
            "d": domain,
            "i": str(self.client) if is_v4 else ".".join(self.client.exploded.replace(":", "").upper()),
            "h": self.helo,
            "v": "in-addr" if is_v4 else "ip6",
            "c": str(self.client),
            "r": self.receiver,
            "t": str(self.now_s),
        }
        if "p" in letters(pieces):
            values["p"] = await self._best_validated_name(domain.removesuffix(".").lower())
        return values

    async def _best_validated_name(self, domain: str) -> str:
        """§7.3: the domain itself, else a name below it, else any."""
        names = await self._validated_names()
        below = [name for name in names if name.endswith("." + domain)]
        return domain if domain in names else (below or names or ["unknown"])[0]


_MECHANISMS: dict[str, Callable[[_Check, Directive, str], Awaitable[bool]]] = {
    "include": _Check._include,
    "a": _Check._a,
    "mx": _Check._mx,
    "exists": _Check._exists,
    "ptr": _Check._ptr,
}
