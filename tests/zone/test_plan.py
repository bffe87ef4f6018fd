"""The difference of wanted and live: what is changed, what is left alone, what is refused."""

import dns.name
import dns.rdataset
import dns.rdatatype
import pytest
from dns.rdatatype import CNAME, MX, TXT, A, RdataType
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.zone import WantedRecord
from mailserver_py.zone.plan import Plan, plan_zone, same, update_message
from mailserver_py.zone.published import Published, parse_published

ZONE = dns.name.from_text("example.org")
Key = tuple[dns.name.Name, RdataType]


def sets(rdtype: str, *texts: str, ttl: int = 300) -> dns.rdataset.Rdataset:
    return dns.rdataset.from_text_list("IN", rdtype, ttl, list(texts))


def want(name: str, rdtype: str, *texts: str, mine: bytes = b"") -> WantedRecord:
    return WantedRecord(dns.name.from_text(name), sets(rdtype, *texts), "because", mine=mine)


def key(name: str, rdtype: RdataType) -> Key:
    return dns.name.from_text(name), rdtype


def signs(plan: Plan) -> list[str]:
    return [f"{change.sign} {change.owner.to_text(True)}" for change in plan.changes]


def test_what_is_there_is_not_changed() -> None:
    live = {key("example.org", MX): sets("MX", "20 b.example.", "10 a.example.")}
    plan = plan_zone(ZONE, [want("example.org", "MX", "10 a.example.", "20 B.example.")], live, Published())
    assert plan.changes == ()
    assert set(plan.ours) == set(live)


def test_missing_different_and_late_records_are_changes() -> None:
    wanted = [want("a.example.org", "A", "192.0.2.1"), want("b.example.org", "A", "192.0.2.2")]
    wanted.append(want("c.example.org", "A", "192.0.2.3"))
    live = {
        key("b.example.org", A): sets("A", "192.0.2.9"),
        key("c.example.org", A): sets("A", "192.0.2.3", ttl=60),
    }
    assert signs(plan_zone(ZONE, wanted, live, Published())) == [
        "+ a.example.org",
        "~ b.example.org",
        "~ c.example.org",
    ]


def test_foreign_texts_beside_ours_stay() -> None:
    live = {
        key("example.org", TXT): sets("TXT", '"proof=1"', '"v=spf1 a ~all"', '"v=spf10 no version of ours"')
    }
    wanted = [want("example.org", "TXT", '"v=spf1 mx -all"', mine=b"v=spf1")]
    (change,) = plan_zone(ZONE, wanted, live, Published()).changes
    assert change.after is not None
    assert {rdata.to_text() for rdata in change.after} == {
        '"proof=1"',
        '"v=spf1 mx -all"',
        '"v=spf10 no version of ours"',
    }


def test_a_dropped_wish_is_deleted_only_as_far_as_we_published_it() -> None:
    gone = key("old.example.org", TXT)
    published = Published({gone: sets("TXT", '"ours"')})
    live = {gone: sets("TXT", '"ours"', '"theirs"')}
    (change,) = plan_zone(ZONE, [], live, published).changes
    assert change.after is not None
    assert [rdata.to_text() for rdata in change.after] == ['"theirs"']


def test_a_name_that_somebody_took_over_is_left_alone() -> None:
    gone = key("old.example.org", A)
    plan = plan_zone(ZONE, [], {gone: sets("A", "192.0.2.99")}, Published({gone: sets("A", "192.0.2.1")}))
    assert plan.changes == ()
    assert plan.gone == (gone,)


def test_what_was_never_published_is_never_deleted() -> None:
    live = {key("www.example.org", A): sets("A", "192.0.2.80")}
    assert plan_zone(ZONE, [], live, Published()).changes == ()


@pytest.mark.parametrize(
    ("dropped", "kept", "suspicious"), [(4, 0, False), (5, 5, True), (5, 20, False), (20, 5, True)]
)
def test_a_large_share_of_deletions_is_suspicious(dropped: int, kept: int, suspicious: bool) -> None:
    names = [f"n{n}.example.org" for n in range(dropped + kept)]
    live = {key(name, A): sets("A", "192.0.2.1") for name in names}
    wanted = [want(name, "A", "192.0.2.1") for name in names[dropped:]]
    plan = plan_zone(ZONE, wanted, live, Published(live))
    assert (plan.deletions_count, plan.is_suspicious) == (dropped, suspicious)


def test_an_alias_at_a_wanted_name_is_a_conflict() -> None:
    live = {key("mx1.example.org", CNAME): sets("CNAME", "x.example.")}
    plan = plan_zone(ZONE, [want("mx1.example.org", "A", "192.0.2.1")], live, Published())
    assert plan.conflicts == (dns.name.from_text("mx1.example.org"),)


def test_the_update_asks_that_nothing_changed_since() -> None:
    live = {key("b.example.org", A): sets("A", "192.0.2.9", ttl=60)}
    wanted = [want("a.example.org", "A", "192.0.2.1"), want("b.example.org", "A", "192.0.2.2")]
    message = update_message(plan_zone(ZONE, wanted, live, Published()))
    assert [(str(rrset.name), rrset.ttl, rrset.rdclass) for rrset in message.prerequisite] == [
        ("a.example.org.", 0, dns.rdataclass.NONE),
        ("b.example.org.", 0, dns.rdataclass.IN),
    ]
    assert dns.message.from_wire(message.to_wire()).opcode() == dns.opcode.UPDATE


def test_the_plan_prints_and_serialises() -> None:
    plan = plan_zone(ZONE, [want("a.example.org", "A", "192.0.2.1")], {}, Published())
    assert plan.render() == "+ a.example.org A  (because)\n    + 300 IN A 192.0.2.1"
    assert plan.values()["changes"] == [
        {
            "sign": "+",
            "name": "a.example.org",
            "type": "A",
            "before": [],
            "after": ["300 IN A 192.0.2.1"],
            "reason": "because",
        }
    ]


owners = st.sampled_from(["a.example.org", "b.example.org", "c.example.org"])
octets = st.lists(st.sampled_from(["192.0.2.1", "192.0.2.2", "192.0.2.3"]), min_size=1, max_size=3)


@given(st.dictionaries(owners, octets), st.dictionaries(owners, octets), st.dictionaries(owners, octets))
def test_after_any_plan_was_applied_nothing_is_to_do(
    wish: dict[str, list[str]], now: dict[str, list[str]], before: dict[str, list[str]]
) -> None:
    live = {key(name, A): sets("A", *texts) for name, texts in now.items()}
    published = Published({key(name, A): sets("A", *texts) for name, texts in before.items()})
    wanted = [want(name, "A", *texts) for name, texts in wish.items()]
    plan = plan_zone(ZONE, wanted, live, published)
    for change in plan.changes:
        if change.after is None:
            del live[change.owner, change.rdtype]
        else:
            live[change.owner, change.rdtype] = change.after
    after = published.after(plan.ours, plan.gone)
    assert plan_zone(ZONE, wanted, live, after).changes == ()
    assert set(after.sets) == {key(name, A) for name in wish}
    assert all(same(live[record.owner, A], record.rdataset) for record in wanted)


@given(st.dictionaries(owners, octets))
def test_the_memory_reads_back_as_itself(before: dict[str, list[str]]) -> None:
    memory = Published({key(name, A): sets("A", *texts) for name, texts in before.items()})
    again = parse_published(memory.serialize())
    assert again.serialize() == memory.serialize()
    assert {name: set(rdataset) for name, rdataset in again.sets.items()} == {
        name: set(rdataset) for name, rdataset in memory.sets.items()
    }


@pytest.mark.parametrize(
    "bad", [b"", b"{}", b"[]", b'{"version": 2, "records": []}', b'{"version": 1, "records": [{}]}']
)
def test_a_damaged_memory_is_refused(bad: bytes) -> None:
    with pytest.raises(ValueError, match=r"damaged|version|Expecting"):
        parse_published(bad)
