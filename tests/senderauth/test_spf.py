"""SPF: the openspf suite for RFC 7208 when it is at hand, and the limits by themselves."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from mailserver_py.senderauth.spf import Evaluation, Result, evaluate, parse_record

from .records import Records

DATA = Path(
    os.environ.get("MAILSERVER_SHARED_DATA", str(Path(__file__).resolve().parents[3] / "shared" / "data"))
)
SUITE = DATA / "spf" / "rfc7208-tests.yml"


def check(
    records: Records, reverse_path: str, address: str = "192.0.2.1", helo: str = "h.test"
) -> Evaluation:
    return asyncio.run(
        evaluate(
            records,
            address=address,
            helo=helo,
            reverse_path=reverse_path,
            receiver="mx.test",
            now_s=1_700_000_000,
        )
    )


# ---- the suite


def _octets(text: str) -> bytes:
    return text.encode("latin-1", "replace")


def _load_zone(zone: dict[str, list[Any]]) -> Records:
    records = Records()
    for name, entries in zone.items():
        has_txt = any(isinstance(entry, dict) and "TXT" in entry for entry in entries)
        for entry in entries:
            if entry == "TIMEOUT":
                records.add(str(name), "TIMEOUT", True)
                continue
            for rdtype, value in entry.items():
                if rdtype in ("TXT", "SPF"):
                    if (rdtype == "SPF" and has_txt) or value == "NONE":
                        continue
                    parts = [value] if isinstance(value, str) else value
                    records.add(str(name), "TXT", b"".join(_octets(part) for part in parts))
                elif rdtype == "MX":
                    records.add(str(name), "MX", value[1])
                elif rdtype == "PTR":
                    records.add(_address_of(str(name)), "PTR", value)
                elif rdtype == "CNAME":
                    records.add(str(name), "CNAME", value)
                elif rdtype in ("A", "AAAA"):
                    records.add(str(name), rdtype, str(ip_address(value)))
    return records


def _address_of(reverse_name: str) -> str:
    labels = reverse_name.lower().split(".")
    if labels[-2:] == ["in-addr", "arpa"]:
        return ".".join(reversed(labels[:4]))
    digits = "".join(reversed(labels[:32]))
    return str(ip_address(":".join(digits[at : at + 4] for at in range(0, 32, 4))))


def _cases() -> Iterator[Any]:
    if not SUITE.exists():
        return
    for document in YAML(typ="safe").load_all(SUITE.read_text()):
        zone = _load_zone(document["zonedata"])
        for name, case in document["tests"].items():
            yield pytest.param(zone, case, id=f"{document['description']}-{name}".replace(" ", "_"))


@pytest.mark.skipif(not SUITE.exists(), reason=f"the openspf suite is not at {SUITE}")
@pytest.mark.parametrize(("zone", "case"), list(_cases()))
def test_openspf_suite(zone: Records, case: dict[str, Any]) -> None:
    verdict = check(zone, case["mailfrom"], case["host"], case["helo"])
    wanted = case["result"]
    assert verdict.result.value in ([wanted] if isinstance(wanted, str) else wanted)
    if case.get("explanation", "DEFAULT") != "DEFAULT":
        assert verdict.explanation == case["explanation"]


# ---- limits (promises S19)


def test_more_than_ten_terms_that_ask_are_a_permerror_after_ten_questions() -> None:
    records = (
        Records()
        .add("a.test", "TXT", b"v=spf1 " + b"a:x.test " * 11 + b"-all")
        .add("x.test", "A", "198.51.100.1")
    )
    assert check(records, "u@a.test").result is Result.PERMERROR
    assert len(records.asked) == 1 + 10


def test_a_record_that_includes_itself_ends() -> None:
    records = Records().add("a.test", "TXT", b"v=spf1 include:a.test -all")
    assert check(records, "u@a.test").result is Result.PERMERROR
    assert len(records.asked) == 11


def test_a_redirect_to_itself_ends() -> None:
    records = Records().add("a.test", "TXT", b"v=spf1 redirect=a.test")
    assert check(records, "u@a.test").result is Result.PERMERROR


def test_the_third_question_without_an_answer_is_a_permerror() -> None:
    records = Records().add("a.test", "TXT", b"v=spf1 a:v1.test a:v2.test a:v3.test a:v4.test -all")
    assert check(records, "u@a.test").result is Result.PERMERROR
    assert len(records.asked) == 4


def test_more_than_ten_exchanges_are_a_permerror() -> None:
    names = [f"m{number}.test" for number in range(11)]
    records = Records().add("a.test", "TXT", b"v=spf1 mx -all").add("a.test", "MX", *names)
    assert check(records, "u@a.test").result is Result.PERMERROR
    assert len(records.asked) == 2


def test_only_ten_names_of_a_reverse_answer_are_looked_at() -> None:
    records = Records().add("a.test", "TXT", b"v=spf1 ptr -all")
    records.add("192.0.2.1", "PTR", *[f"p{number}.a.test" for number in range(200)])
    assert check(records, "u@a.test").result is Result.FAIL
    assert len(records.asked) == 12


@pytest.mark.parametrize("macro", [b"%{d99r}", b"%{d999999999999}", b"%{l}" * 50, b"%{s}.%{s}.%{s}.%{s}"])
def test_a_name_made_by_macros_is_cut_to_what_a_name_can_be(macro: bytes) -> None:
    records = Records().add("a.test", "TXT", b"v=spf1 exists:" + macro + b".b.test -all")
    assert check(records, "u" * 60 + "@a.test").result is Result.FAIL
    assert all(len(name) <= 253 for name, _ in records.asked)


def test_an_ipv4_client_over_ipv6_is_an_ipv4_client() -> None:
    records = Records().add("a.test", "TXT", b"v=spf1 ip4:192.0.2.1 -all")
    assert check(records, "u@a.test", "::ffff:192.0.2.1").result is Result.PASS


def test_the_null_path_is_postmaster_of_the_helo_name() -> None:
    records = (
        Records()
        .add("h.test", "TXT", b"v=spf1 exists:%{l}.x.test -all")
        .add("postmaster.x.test", "A", "192.0.2.9")
    )
    assert check(records, "", helo="h.test") == Evaluation(Result.PASS, "h.test", "helo")


def test_an_explanation_is_bounded_and_printable() -> None:
    records = (
        Records()
        .add("a.test", "TXT", b"v=spf1 exp=e.test -all")
        .add("e.test", "TXT", b"go away %{c}" + b"x" * 5000)
    )
    explanation = check(records, "u@a.test").explanation
    assert explanation.startswith("go away 192.0.2.1")
    assert len(explanation) <= 400


@pytest.mark.parametrize(
    "record", [b"v=spf1 " + b"a" * 60_000, b"v=spf1 " + b"%{s} " * 12_000, b"v=spf1 " + b"a:" * 30_000]
)
def test_a_huge_record_is_only_wrong(record: bytes) -> None:
    assert parse_record(record) is None
