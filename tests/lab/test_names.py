"""What a lab's things are called, and how a spec becomes hosts and zones. No host is booted here."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from mailserver_py.errors import OperatorError
from mailserver_py.lab.host import HostPlan
from mailserver_py.lab.images import BOOKWORM, STRANGER_IMAGE
from mailserver_py.lab.names import Names, ipv6_of
from mailserver_py.lab.nameserver import reverse_zone
from mailserver_py.lab.network import Registry
from mailserver_py.lab.site import derive_hosts, derive_reverse, derive_zones, nameserver_addresses, stand_ins
from mailserver_py.spec.model import MailSpec


def spec(**wishes: object) -> MailSpec:
    return MailSpec.model_validate(
        {
            "domains": {"example.org": {}},
            "hosts": {"mx1.example.org": {"ipv4": "192.0.2.10", "ipv6": "2001:db8::10"}},
            "accounts": {"alice@example.org": {}},
            **wishes,
        }
    )


@pytest.mark.parametrize("name", ["", "Lab", "a-b", "9lab", "lab lab", "lablablab", "../x"])
def test_a_lab_name_that_does_not_fit_the_kernel_is_refused(name: str) -> None:
    with pytest.raises(OperatorError, match="lab's name"):
        Names(name)


def test_a_lab_owns_only_names_of_its_own() -> None:
    names = Names("a")
    assert names.owns("ms-a")
    assert names.owns("ms-a-mx1.lab.test")
    assert not names.owns("ms-ab")
    assert not names.owns("ms-ab-mx1")
    assert not names.owns("a")


def test_labs_have_uplinks_of_their_own() -> None:
    uplinks = {Names(f"lab{number}").uplink for number in range(20)}
    assert len(uplinks) == 20


def test_the_ipv6_address_follows_from_the_ipv4_one() -> None:
    assert ipv6_of(IPv4Address("10.88.0.10")) == IPv6Address("fd88::a")


@pytest.mark.parametrize(
    ("address", "zone"),
    [
        ("10.88.0.10", "0.88.10.in-addr.arpa"),
        ("192.0.2.10", "2.0.192.in-addr.arpa"),
        ("fd88::a", "0.0.0.0.0.0.0.0.0.0.0.0.8.8.d.f.ip6.arpa"),
        ("2001:db8::10", "0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"),
    ],
)
def test_reverse_zones_are_those_a_provider_would_keep(address: str, zone: str) -> None:
    assert reverse_zone(ip_address(address)) == zone


def test_a_host_outside_the_lab_network_keeps_its_public_addresses() -> None:
    (plan,) = derive_hosts(spec(), BOOKWORM)
    assert plan.address == IPv4Address("10.88.0.10")
    assert {str(address) for address in plan.addresses} >= {"192.0.2.10", "2001:db8::10"}


def test_two_hosts_never_share_a_lab_address() -> None:
    hosts = {f"mx{n}.example.org": {"ipv4": f"192.0.2.{n}"} for n in range(1, 6)}
    plans = derive_hosts(spec(hosts=hosts), BOOKWORM)
    assert len({plan.address for plan in plans}) == 5


def test_a_host_with_a_later_lab_address_does_not_lose_it_to_an_earlier_host() -> None:
    hosts = {"a.example.org": {"ipv4": "192.0.2.1"}, "b.example.org": {"ipv4": "10.88.0.10"}}
    plans = {plan.name: plan.address for plan in derive_hosts(spec(hosts=hosts), BOOKWORM)}
    assert plans["b.example.org"] == IPv4Address("10.88.0.10")
    assert plans["a.example.org"] != plans["b.example.org"]


def test_zones_cover_domains_and_hosts_without_overlap() -> None:
    wish = spec(
        domains={"example.org": {}, "mail.example.org": {}, "example.net": {}},
        hosts={"mx.example.com": {"ipv4": "192.0.2.1"}},
        accounts={"alice@example.org": {}},
    )
    assert [zone.name for zone in derive_zones(wish)] == ["example.org", "example.net", "example.com"]


@pytest.mark.parametrize("domain", ["peer.test", "mail.peer.test", "acme.test"])
def test_a_site_cannot_have_the_names_of_the_labs_own_servers(domain: str) -> None:
    wish = spec(domains={domain: {}}, accounts={f"alice@{domain}": {}})
    with pytest.raises(OperatorError, match="belongs to the lab"):
        derive_zones(wish)


def test_a_reverse_zone_serves_all_hosts_of_its_network_once() -> None:
    hosts = [(f"mx{number}.example.org", ip_address(f"192.0.2.{number}")) for number in (1, 2)]
    (zone,) = derive_reverse(hosts)
    assert zone.name == "2.0.192.in-addr.arpa"
    assert not zone.signed


@pytest.mark.parametrize(
    ("server", "found"),
    [
        ("192.0.2.53", ["192.0.2.53"]),
        ("192.0.2.53:5353", ["192.0.2.53"]),
        ("[2001:db8::53]:53", ["2001:db8::53"]),
        ("10.88.0.2", []),
    ],
)
def test_the_lab_answers_where_the_site_expects_its_name_server(server: str, found: list[str]) -> None:
    dns = {"publish": "rfc2136", "rfc2136": {"server": server, "key_name": "k"}}
    assert [str(address) for address in nameserver_addresses(spec(dns=dns))] == found


def test_a_real_authority_is_stood_in_for() -> None:
    ((name, address),) = stand_ins(spec())
    assert name == "acme-v02.api.letsencrypt.org"
    assert str(address) == "10.88.0.4"


def test_a_plan_reads_back_as_it_was_written() -> None:
    plan = HostPlan("mx1.lab.test", IPv4Address("10.88.0.10"), STRANGER_IMAGE, (IPv6Address("fd88::a"),), 7)
    assert HostPlan.parse(plan.serialize()) == plan


def test_a_registry_reads_back_as_it_was_written() -> None:
    registry = Registry("mirror.example", ("192.0.2.1", "192.0.2.2"), for_hosts=False)
    assert Registry.parse(registry.serialize()) == registry
