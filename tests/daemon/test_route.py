"""MX routing: answers in, targets or a verdict out."""

from __future__ import annotations

import pytest

from mailserver_py.daemon.route import (
    HOSTS_LIMIT_COUNT,
    Exchanges,
    Ownership,
    Target,
    Verdict,
    exchanges_of,
    targets_of,
)
from mailserver_py.net.resolver import Answer, Status, _answer_of

OWN = Ownership("mx1.ours.example", "192.0.2.1", "2001:db8::1")


def answer(rdtype: str, *texts: str) -> Answer:
    return _answer_of(rdtype, texts)


def in_order(names: list[str]) -> None:
    names.sort()


def test_exchanges_come_by_preference_and_equals_are_shuffled() -> None:
    seen: list[list[str]] = []

    def backwards(names: list[str]) -> None:
        seen.append(list(names))
        names.reverse()

    mx = answer("MX", "20 d.example.", "10 a.example.", "10 B.example.", "5 c.example.")
    assert exchanges_of("x.example", mx, backwards) == Exchanges(
        ("c.example", "b.example", "a.example", "d.example")
    )
    assert seen == [["c.example"], ["a.example", "b.example"], ["d.example"]]


def test_without_mx_the_domain_stands_for_itself() -> None:
    assert exchanges_of("x.example", Answer(Status.NODATA), in_order) == Exchanges(("x.example",), True)


@pytest.mark.parametrize(
    ("found", "permanent", "status"),
    [
        (Answer(Status.NXDOMAIN), True, "5.1.2"),
        (Answer(Status.SERVFAIL), False, "4.4.3"),
        (Answer(Status.TIMEOUT), False, "4.4.3"),
        (answer("MX", "0 ."), True, "5.1.10"),
    ],
    ids=["nxdomain", "servfail", "timeout", "null mx"],
)
def test_what_the_dns_says_of_a_domain(found: Answer, permanent: bool, status: str) -> None:
    verdict = exchanges_of("x.example", found, in_order)
    assert isinstance(verdict, Verdict)
    assert (verdict.permanent, verdict.status) == (permanent, status)


def test_a_null_mx_beside_others_is_ignored() -> None:
    assert exchanges_of("x.example", answer("MX", "0 .", "10 a.example."), in_order) == Exchanges(
        ("a.example",)
    )


def test_a_thousand_exchanges_are_a_few() -> None:
    mx = answer("MX", *(f"10 h{n}.example." for n in range(1000)))
    found = exchanges_of("x.example", mx, in_order)
    assert isinstance(found, Exchanges)
    assert len(found.hosts) == HOSTS_LIMIT_COUNT


def test_ipv6_comes_before_ipv4() -> None:
    answers = {
        ("a.example", "A"): answer("A", "198.51.100.1"),
        ("a.example", "AAAA"): answer("AAAA", "2001:db8:5::1"),
    }
    assert targets_of("x.example", Exchanges(("a.example",)), answers, OWN) == [
        Target("a.example", "2001:db8:5::1"),
        Target("a.example", "198.51.100.1"),
    ]


def test_a_family_that_the_spec_gives_the_host_no_address_of_is_not_used() -> None:
    answers = {
        ("a.example", "A"): answer("A", "198.51.100.1"),
        ("a.example", "AAAA"): answer("AAAA", "2001:db8:5::1"),
    }
    own = Ownership("mx1.ours.example", "192.0.2.1")
    assert targets_of("x.example", Exchanges(("a.example",)), answers, own) == [
        Target("a.example", "198.51.100.1")
    ]


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("mx1.ours.example", "198.51.100.1"),
        ("other.example", "192.0.2.1"),
        ("other.example", "127.0.0.1"),
        ("other.example", "0.0.0.0"),
        ("other.example", "127.9.9.9"),
    ],
    ids=["our name", "our address", "loopback", "unspecified", "all of loopback"],
)
def test_an_exchange_that_is_ourselves_is_a_loop(host: str, address: str) -> None:
    verdict = targets_of("x.example", Exchanges((host,)), {(host, "A"): answer("A", address)}, OWN)
    assert isinstance(verdict, Verdict)
    assert verdict.status == "5.4.6"


def test_exchanges_behind_ourselves_are_left_out() -> None:
    answers = {
        ("first.example", "A"): answer("A", "198.51.100.1"),
        ("mx1.ours.example", "A"): answer("A", "192.0.2.1"),
        ("third.example", "A"): answer("A", "198.51.100.3"),
    }
    exchanges = Exchanges(("first.example", "mx1.ours.example", "third.example"))
    assert targets_of("x.example", exchanges, answers, OWN) == [Target("first.example", "198.51.100.1")]


@pytest.mark.parametrize(
    ("exchanges", "found", "permanent"),
    [
        (Exchanges(("a.example",)), Answer(Status.SERVFAIL), False),
        (Exchanges(("a.example",)), Answer(Status.NXDOMAIN), False),
        (Exchanges(("x.example",), implicit=True), Answer(Status.NODATA), True),
        (Exchanges(("x.example",), implicit=True), Answer(Status.TIMEOUT), False),
    ],
    ids=["mx, servfail", "mx without address", "no address at all", "timeout"],
)
def test_no_address_is_permanent_only_when_the_dns_is_sure(
    exchanges: Exchanges, found: Answer, permanent: bool
) -> None:
    answers = {(exchanges.hosts[0], rdtype): found for rdtype in ("A", "AAAA")}
    verdict = targets_of("x.example", exchanges, answers, OWN)
    assert isinstance(verdict, Verdict)
    assert verdict.permanent is permanent


def test_a_connection_to_ourselves_is_seen_by_its_ends_or_its_greeting() -> None:
    assert OWN.is_end("10.0.0.1", "10.0.0.1", "mx.example ESMTP")
    assert OWN.is_end("10.0.0.1", "203.0.113.1", "MX1.ours.example ESMTP")
    assert not OWN.is_end("10.0.0.1", "203.0.113.1", "mx.example ESMTP")
