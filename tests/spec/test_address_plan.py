"""Where each address leads: aliases, groups, subaddresses, required addresses, loops."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.spec.address_plan import plan_addresses
from mailserver_py.spec.model import MailSpec
from tests.spec.sites import spec_of

SITE = """\
domains: {example.org: , example.net: {catch_all: info@example.org}}
hosts: {mx1.example.org: {ipv4: 192.0.2.10}}
accounts:
  alice@example.org: {aliases: [info@example.org, abuse@example.net]}
  bob@example.org:
groups:
  team@example.org: {members: [bob@example.org, info@example.org, ext@outside.com], may_send: true}
  all@example.org: {members: [team@example.org, alice+all@example.org, bob@example.org]}
postmaster: bob@example.org
"""


def test_every_address_leads_to_accounts_or_outside() -> None:
    plan = plan_addresses(spec_of(SITE))
    assert dict(plan.targets) == {
        "info@example.org": ("alice@example.org",),
        "abuse@example.net": ("alice@example.org",),
        "team@example.org": ("bob@example.org", "alice@example.org", "ext@outside.com"),
        "all@example.org": ("bob@example.org", "alice@example.org", "ext@outside.com"),
        "postmaster@example.org": ("bob@example.org",),
        "abuse@example.org": ("bob@example.org",),
        "postmaster@example.net": ("bob@example.org",),
    }
    assert plan.loops == ()


def test_members_send_as_their_group_only_where_it_says_so() -> None:
    plan = plan_addresses(spec_of(SITE))
    assert plan.senders["alice@example.org"] == (
        "alice@example.org",
        "info@example.org",
        "abuse@example.net",
        "team@example.org",
    )
    assert plan.senders["bob@example.org"] == ("bob@example.org", "team@example.org")


names = st.sampled_from([f"{letter}@example.org" for letter in "abcdefgh"])


@given(st.dictionaries(names, st.lists(names, min_size=1, max_size=4), min_size=1, max_size=6))
def test_any_tangle_of_groups_is_resolved_and_each_loop_is_real(groups: dict[str, list[str]]) -> None:
    spec = MailSpec.model_validate(
        {
            "domains": {"example.org": {}},
            "hosts": {"mx1.example.org": {"ipv4": "192.0.2.1"}},
            "accounts": {"alice@example.org": {}},
            "groups": {name: {"members": members} for name, members in groups.items()},
        }
    )
    plan = plan_addresses(spec)
    assert all(target == "alice@example.org" for targets in plan.targets.values() for target in targets)
    for loop in plan.loops:
        assert loop[0] == loop[-1]
        assert all(after in groups[before] for before, after in pairwise(loop))
    assert bool(plan.loops) == _has_cycle(groups)


def _has_cycle(groups: dict[str, list[str]]) -> bool:
    """The slow and obvious way."""
    reach = {name: set(members) for name, members in groups.items()}
    for _ in groups:
        for beyond in reach.values():
            beyond |= {far for near in list(beyond) for far in reach.get(near, ())}
    return any(name in far for name, far in reach.items())
