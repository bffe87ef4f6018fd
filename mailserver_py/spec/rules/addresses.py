"""Rules about addresses: every one in a domain of ours, owned once, and leading to somebody."""

from __future__ import annotations

from collections.abc import Iterator

from ..address_plan import claims, is_ours, plan_addresses, verification_account
from ..explain import nearest
from ..model import MailSpec
from ..source import Loc
from .shape import Finding


def addresses_are_in_declared_domains(spec: MailSpec) -> Iterator[Finding]:
    """Accounts, aliases and groups exist only in domains of the site."""
    for claim in claims(spec):
        yield from _undeclared(spec, claim.loc, claim.address)
    if spec.verification.account is not None:
        yield from _undeclared(spec, ("verification", "account"), spec.verification.account)


def _undeclared(spec: MailSpec, loc: Loc, address: str) -> Iterator[Finding]:
    if is_ours(spec, address):
        return
    domain = address.rpartition("@")[2]
    close = nearest(domain, list(spec.domains))
    cure = f"did you mean {address.rpartition('@')[0]}@{close}?" if close else f"add `{domain}:` to `domains`"
    yield Finding(loc, f"{address} is in the domain {domain}, which `domains` does not have", cure)


def addresses_have_one_owner(spec: MailSpec) -> Iterator[Finding]:
    """An address that two claim would get mail by chance."""
    first: dict[str, str] = {}
    for claim in claims(spec):
        owner = first.setdefault(claim.address, claim.owner)
        if owner is not claim.owner:
            same = owner == claim.owner
            text = f"{claim.address} is {claim.owner}" + (
                " twice" if same else f", but it is {owner} already"
            )
            yield Finding(claim.loc, text, "keep one; a group reaches several")


def groups_do_not_reach_themselves(spec: MailSpec) -> Iterator[Finding]:
    """A loop would resolve to nobody, or mail without end."""
    for loop in plan_addresses(spec).loops:
        start = next((address for address in loop if address in spec.groups), loop[0])
        way = " → ".join(loop)
        yield Finding(("groups", start, "members"), f"these reach themselves: {way}", "take one of them out")


def members_reach_somebody(spec: MailSpec) -> Iterator[Finding]:
    """A member in a domain of ours that nobody has is a misspelling."""
    for group, member in plan_addresses(spec).dead:
        if group in spec.groups:
            index = spec.groups[group].members.index(member)
            yield _nobody(spec, ("groups", group, "members", index), member)


def catch_alls_reach_somebody(spec: MailSpec) -> Iterator[Finding]:
    """A catch-all is a local address that exists."""
    for name, domain in spec.domains.items():
        if domain.catch_all is None:
            continue
        loc = ("domains", name, "catch_all")
        if not is_ours(spec, domain.catch_all):
            text = f"the catch-all of {name} leads out of the site, to {domain.catch_all}"
            cure = "name a local address: forwarding all mail for unknown names forwards all spam"
            yield Finding(loc, text, cure)
        elif not _exists(spec, domain.catch_all):
            yield _nobody(spec, loc, domain.catch_all)


def postmaster_reaches_somebody(spec: MailSpec) -> Iterator[Finding]:
    """RFC 5321 §4.5.1: postmaster must be read."""
    reader = spec.postmaster
    if reader is not None and is_ours(spec, reader) and not _exists(spec, reader):
        yield _nobody(spec, ("postmaster",), reader)


def letters_for_tests_have_their_own_account(spec: MailSpec) -> Iterator[Finding]:
    """Verification removes what it sent; in a person's mailbox that would be in sight, and dangerous."""
    tests = verification_account(spec)
    for claim in claims(spec):
        if claim.address == tests:
            text = f"{tests} gets verification's test letters, but it is {claim.owner}"
            cure = "name an address of its own in `verification.account`; it needs no entry in `accounts`"
            yield Finding(("verification", "account") if spec.verification.account else claim.loc, text, cure)


def account_names_can_name_files(spec: MailSpec) -> Iterator[Finding]:
    """An account's name is the name of its secret's file here and of its folder there."""
    for address in dict.fromkeys((*spec.accounts, verification_account(spec))):
        if any(letter in address for letter in '/\\" '):
            loc = ("accounts", address) if address in spec.accounts else ("verification", "account")
            text = f"{address} holds a letter that no account's name can have"
            yield Finding(loc, text, "name the account without it, and make this address an alias")


def display_names_are_plain_text(spec: MailSpec) -> Iterator[Finding]:
    """A control character in a name would end up in a header or a terminal."""
    for address, account in spec.accounts.items():
        if any(not letter.isprintable() for letter in account.display_name):
            loc = ("accounts", address, "display_name")
            yield Finding(loc, f"the display name of {address} holds a control character", "type it anew")


def _exists(spec: MailSpec, address: str) -> bool:
    known = {claim.address for claim in claims(spec)} | {verification_account(spec)}
    return address in known


def _nobody(spec: MailSpec, loc: Loc, address: str) -> Finding:
    local, _, domain = address.rpartition("@")
    # By the part before the @: a long domain makes every two of its addresses look alike.
    known = [claim.address for claim in claims(spec)]
    close = nearest(local, [name.rpartition("@")[0] for name in known if name.endswith(f"@{domain}")])
    cure = f"did you mean {close}@{domain}?" if close else "add it to `accounts` or `groups`"
    return Finding(loc, f"nobody has the address {address}", cure)


RULES = (
    addresses_are_in_declared_domains,
    addresses_have_one_owner,
    groups_do_not_reach_themselves,
    members_reach_somebody,
    catch_alls_reach_somebody,
    postmaster_reaches_somebody,
    letters_for_tests_have_their_own_account,
    account_names_can_name_files,
    display_names_are_plain_text,
)
