"""Live records against wanted ones."""

from __future__ import annotations

import asyncio

import pytest

from mailserver_py.net.resolver import Status
from mailserver_py.verify.checks import records
from mailserver_py.zone import render

from .fakes import SPEC, FixedResolver, world

WANTED = tuple(record for record in render(SPEC, {}) if record.kind in ("mx", "spf", "address"))


def live() -> dict:
    """What the wish implies, as an answer table."""
    return {
        (record.owner.to_text(omit_final_dot=True), record.rdataset.rdtype.name): [
            rdata.to_text() for rdata in record.rdataset
        ]
        for record in WANTED
    }


def codes(source: dict, cached: dict | None = None) -> list[str]:
    authority = FixedResolver(source)
    resolver = FixedResolver(source if cached is None else cached)
    outcome = asyncio.run(records.run(world(records=WANTED, authority=authority, resolver=resolver)))
    return sorted(f.code for f in outcome.findings)


def test_a_zone_as_wished_has_no_finding() -> None:
    assert codes(live()) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({("example.org", "MX"): Status.NODATA}, "mx.missing"),
        ({("example.org", "MX"): ["10 old.example.org."]}, "mx.differs"),
        ({("example.org", "MX"): ["10 mx1.example.org.", "5 backup.example.org."]}, "mx.differs"),
        ({("example.org", "TXT"): ['"v=spf1 +all"']}, "spf.differs"),
        ({("example.org", "TXT"): ['"some-proof=1"']}, "spf.missing"),
        ({("mx1.example.org", "A"): ["192.0.2.99"]}, "address.differs"),
        ({("example.org", "MX"): Status.SERVFAIL}, "mx.unknown"),
    ],
    ids=["no-mx", "other-mx", "one-mx-too-many", "open-spf", "no-spf", "old-address", "lame"],
)
def test_what_differs_at_the_source_is_named(change: dict, code: str) -> None:
    assert codes(live() | change) == [code]


def test_a_strangers_text_beside_our_spf_is_left_alone() -> None:
    texts = live()[("example.org", "TXT")]
    assert codes(live() | {("example.org", "TXT"): [*texts, '"some-proof=1"']}) == []


def test_a_resolver_that_is_behind_is_told_apart_from_a_wrong_source() -> None:
    assert codes(live(), live() | {("example.org", "MX"): ["10 old.example.org."]}) == ["mx.stale"]


def test_a_resolver_that_fails_is_no_proof_of_anything() -> None:
    assert codes(live(), live() | {("example.org", "MX"): Status.SERVFAIL}) == ["mx.unresolved"]
