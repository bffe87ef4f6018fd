"""One address: what is one, and when two are the same."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.message.address import Address, AddressError, a_labels, parse_address, u_labels

GOOD = {
    "alice@example.com": "alice@example.com",
    "Alice@EXAMPLE.com": "alice@example.com",
    "a.b+c@x-y.example": "a.b+c@x-y.example",
    '"a b"@example.com': '"a b"@example.com',
    '"alice"@example.com': "alice@example.com",
    "jörg@bücher.example": "jörg@xn--bcher-kva.example",
    "jo\u0308rg@bücher.example": "jörg@xn--bcher-kva.example",
    "a@BÜCHER.example": "a@xn--bcher-kva.example",
    "a@xn--bcher-kva.example": "a@xn--bcher-kva.example",
    "a@bücher。example": "a@xn--bcher-kva.example",
    "a@[192.0.2.1]": "a@[192.0.2.1]",
    "a@[IPv6:2001:DB8::1]": "a@[ipv6:2001:db8::1]",
    "root@localhost": "root@localhost",
    "a@_dmarc.example": "a@_dmarc.example",
}


@pytest.mark.parametrize("text", GOOD)
def test_equal_addresses_have_one_key(text: str) -> None:
    assert parse_address(text).key == GOOD[text]


BAD = [
    "", "@", "a", "a@", "@b", "a@b.", "a@.b", "a@b..c", "a..b@c", ".a@b", "a.@b", "a b@c", "a@b c", "a@b@c", "<a@b>",
    'a"b@c', '"a@b', '""@b', '"a\n"@b', "a@-b.c", "a@b-.c", f"{'a' * 65}@b", f"a@{'b' * 64}.c", f"a@{'b.' * 130}c",
    "a\u200b@b", "a\u202e@b", "a\u00a0b@c", "a\u2028@b", "a\x85@b", "a\0@b", "a\r\n@b", "a\ud800@b", "a@b\r\n",
    "a@[192.0.2]", "a@[192.0.2.1", "a@[IPv6:::1%eth0]", "a@[tag:x]", "a@b\u2028c", "a@xn--\u00fc", "ä" * 40 + "@b",
]  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(AddressError) as refused:
        parse_address(text)
    assert len(str(refused.value)) < 100


LOCAL = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=16)
LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)


@given(LOCAL, st.lists(LABEL, min_size=1, max_size=4).map(".".join))
def test_what_is_serialized_is_read_back(local: str, domain: str) -> None:
    address = Address(local, domain)
    try:
        read = parse_address(address.serialize())
    except AddressError:
        # Only what quoting cannot carry either.
        assert len(local.encode()) > 64 or not local.isascii()
        return
    assert read == address
    assert parse_address(address.key).key == address.key


@given(st.text(max_size=40))
def test_no_text_raises_anything_else(text: str) -> None:
    for candidate in (text, f"a@{text}", f"{text}@example.com"):
        try:
            address = parse_address(candidate)
        except AddressError:
            continue
        assert parse_address(address.serialize()).key == address.key


def test_labels_are_shown_to_people_and_odd_ones_stay() -> None:
    assert u_labels("xn--bcher-kva.example") == "bücher.example"
    assert u_labels("xn--\xff.xn--99999999.x") == "xn--\xff.xn--99999999.x"
    assert a_labels("Bücher.Example") == "xn--bcher-kva.example"


def test_a_hostile_domain_costs_little() -> None:
    started = time.perf_counter()
    for domain in ("\u06dd" * 250, "\u0660" * 250, "ß." * 120 + "x", "\u200d" * 250, "a\u0301" * 125):
        with pytest.raises(AddressError):
            a_labels(domain + "\u2028")
    assert time.perf_counter() - started < 0.5
