"""Where mail for each address of the site ends up: aliases and groups resolved to final targets.

Shared by the rules (which complain) and by `derive_settings` (which needs an answer for every address), so
that the two can never disagree. Pure; a loop is broken at the address that closes it and reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .model import MailSpec

REQUIRED_LOCALS = ("postmaster", "abuse")
"""Addresses that every mail domain answers (RFC 2142 §4 and §5; postmaster also RFC 5321 §4.5.1)."""

VERIFICATION_LOCAL = "mailserver-verify"
"""Local part of the account for test letters when the spec names none."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who says that an address is theirs, and where in the spec that stands."""

    address: str
    owner: str
    """`account`, `alias of <address>`, `group` …, for people."""
    loc: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class AddressPlan:
    """Every address the site knows."""

    targets: Mapping[str, tuple[str, ...]]
    """Alias and group addresses → local primary or outside addresses, each once, in the spec's order."""
    loops: tuple[tuple[str, ...], ...] = ()
    """Each group that reaches itself, as the way around: first and last are the same."""
    dead: tuple[tuple[str, str], ...] = ()
    """(group, member): the member is in a domain of ours, but nobody has the address."""
    senders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Account → every address it may send as, its own first."""


def verification_account(spec: MailSpec) -> str:
    """The account that test letters go to."""
    return spec.verification.account or f"{VERIFICATION_LOCAL}@{next(iter(spec.domains))}"


def postmaster(spec: MailSpec) -> str:
    """Who reads what nobody else claims of the required addresses."""
    return spec.postmaster or next(iter(spec.accounts))


def claims(spec: MailSpec) -> Iterator[Claim]:
    """Every address that somebody claims, in the spec's order."""
    for address, account in spec.accounts.items():
        yield Claim(address, "an account", ("accounts", address))
        for index, alias in enumerate(account.aliases):
            yield Claim(alias, f"an alias of {address}", ("accounts", address, "aliases", index))
    for address in spec.groups:
        yield Claim(address, "a group", ("groups", address))


def base_address(spec: MailSpec, address: str) -> str:
    """`alice+shop@` → `alice@` (RFC 5233); an address without a detail is itself."""
    local, _, domain = address.rpartition("@")
    separator = spec.subaddress_separator
    if separator and separator in local[1:]:
        local = local[0] + local[1:].split(separator, 1)[0]
    return f"{local}@{domain}"


def is_ours(spec: MailSpec, address: str) -> bool:
    """Whether the address is in a domain of the site."""
    return address.rpartition("@")[2] in spec.domains


def plan_addresses(spec: MailSpec) -> AddressPlan:
    """Resolves every alias, group and required address of the site."""
    aliases = {alias: owner for owner, account in spec.accounts.items() for alias in account.aliases}
    walk = _Walk(spec, aliases)
    accounts = {*spec.accounts, verification_account(spec)}
    targets: dict[str, tuple[str, ...]] = {}
    for alias, owner in aliases.items():
        if alias not in accounts:
            targets[alias] = (owner,)
    for group in spec.groups:
        if group not in accounts:
            targets[group] = walk.reach(group)
    reader = walk.reach(postmaster(spec))
    for domain in spec.domains:
        for local in REQUIRED_LOCALS:
            address = f"{local}@{domain}"
            if address not in accounts and address not in targets:
                targets[address] = reader
    return AddressPlan(targets, tuple(walk.loops), tuple(walk.dead), _senders(spec))


class _Walk:
    """Depth first through aliases and groups; remembers loops and dead ends once each."""

    def __init__(self, spec: MailSpec, aliases: Mapping[str, str]) -> None:
        self.spec = spec
        self.aliases = aliases
        self.accounts = {*spec.accounts, verification_account(spec)}
        self.loops: list[tuple[str, ...]] = []
        self.dead: list[tuple[str, str]] = []

    def reach(self, address: str) -> tuple[str, ...]:
        """The final targets of an address, without repeats.

        Every loop is found from the group it starts at; `seen` only spares repeated ways to one place.
        """
        found: dict[str, None] = {}
        # A stack of ways, not recursion: groups may be nested as deep as the operator likes.
        ways: list[tuple[str, ...]] = [(address,)]
        seen: set[str] = set()
        while ways:
            way = ways.pop()
            here = way[-1]
            if here in seen:
                continue
            seen.add(here)
            hops = self._hops(here)
            if hops is None:
                found[here] = None
                continue
            if not hops and len(way) > 1 and (way[-2], here) not in self.dead:
                self.dead.append((way[-2], here))
            for hop in reversed(hops):
                if hop in way:
                    self._note_loop((*way[way.index(hop) :], hop))
                elif hop not in seen:
                    ways.append((*way, hop))
        return tuple(found)

    def _hops(self, address: str) -> tuple[str, ...] | None:
        """Where the address leads next; None when it is final, empty when nobody has it."""
        if address in self.accounts or not is_ours(self.spec, address):
            return None
        if address in self.spec.groups:
            return self.spec.groups[address].members
        if address in self.aliases:
            return (self.aliases[address],)
        base = base_address(self.spec, address)
        if base != address and (base in self.accounts or base in self.spec.groups or base in self.aliases):
            return (base,)
        local, _, domain = address.rpartition("@")
        reader = postmaster(self.spec)
        if local in REQUIRED_LOCALS and address != reader:
            return (reader,)
        catch_all = self.spec.domains[domain].catch_all
        return (catch_all,) if catch_all not in (None, address) else ()

    def _note_loop(self, loop: tuple[str, ...]) -> None:
        if not any(set(loop) == set(known) for known in self.loops):
            self.loops.append(loop)


def _senders(spec: MailSpec) -> dict[str, tuple[str, ...]]:
    """Own address, aliases, then the groups whose members may send as them; direct members only."""
    senders = {
        address: dict.fromkeys((address, *account.aliases)) for address, account in spec.accounts.items()
    }
    alias_owner = {alias: owner for owner, account in spec.accounts.items() for alias in account.aliases}
    for group, rule in spec.groups.items():
        if rule.may_send:
            for member in rule.members:
                owner = alias_owner.get(member, member)
                if owner in senders:
                    senders[owner][group] = None
    return {address: tuple(may) for address, may in senders.items()}
