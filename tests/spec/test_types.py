"""Sizes, durations, domains and addresses, as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.spec.types import Duration, Size, parse_domain, parse_mail_address


@pytest.mark.parametrize(
    ("text", "octets"),
    [("25 MiB", 26_214_400), ("25MiB", 26_214_400), ("5 GB", 5_000_000_000), ("1.5 KiB", 1_536), ("7 B", 7)],
)
def test_a_size_is_read_with_its_unit(text: str, octets: int) -> None:
    assert Size.parse(text) == octets


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5d", 432_000), ("15 min", 900), ("1h", 3_600), ("90 seconds", 90), ("2w", 1_209_600)],
)
def test_a_duration_is_read_with_its_unit(text: str, seconds: int) -> None:
    assert Duration.parse(text) == seconds


@pytest.mark.parametrize(
    "bad", [25, "25", "", "MiB", "-1 MiB", "25 MiBB", "5 d", True, None, [], "1.5 B", "٣ MiB"]
)
def test_a_size_that_is_none_is_refused(bad: object) -> None:
    with pytest.raises(ValueError, match=r"unit|number|base"):
        Size.parse(bad)


@given(st.integers(min_value=0, max_value=2**45))
def test_a_rendered_size_reads_back_as_itself(octets: int) -> None:
    assert Size.parse(Size(octets).render()) == octets


@given(st.integers(min_value=0, max_value=10**9))
def test_a_rendered_duration_reads_back_as_itself(seconds: int) -> None:
    assert Duration.parse(Duration(seconds).render()) == seconds


def test_a_size_in_a_protocol_line_is_a_number() -> None:
    assert f"SIZE {Size(26_214_400)}" == "SIZE 26214400"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Example.ORG", "example.org"),
        ("example.org.", "example.org"),
        ("Bücher.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),
    ],
)
def test_a_domain_is_kept_as_lower_case_a_labels(text: str, name: str) -> None:
    assert parse_domain(text) == name


@pytest.mark.parametrize(
    "bad",
    [
        *("", ".", "org", "192.0.2.1", "a b.org", "-a.org", "a-.org", "a..org", "xn--a.org", "a_b.org"),
        *("x" * 64 + ".org", ".".join(["a" * 60] * 5), "exam\u200bple.org\u0000"),
    ],
)
def test_what_is_no_host_name_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match=r"domain name|label|octets"):
        parse_domain(bad)


@given(st.text(max_size=80))
def test_any_text_is_a_domain_in_normal_form_or_refused(text: str) -> None:
    try:
        name = parse_domain(text)
    except ValueError:
        return
    assert parse_domain(name) == name
    assert name == name.lower()


@given(st.text(max_size=80))
def test_any_text_is_an_address_in_normal_form_or_refused(text: str) -> None:
    try:
        address = parse_mail_address(text)
    except ValueError:
        return
    assert parse_mail_address(address) == address


def test_addresses_that_differ_by_case_are_one() -> None:
    assert parse_mail_address("Alice@BÜCHER.example") == "alice@xn--bcher-kva.example"
