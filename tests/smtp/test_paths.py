"""Reverse-paths and forward-paths: what is one, and what it means."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.smtp.paths import NULL_PATH, Path, parse_path


@pytest.mark.parametrize(
    ("text", "local", "domain"),
    [
        ("<a@b.test>", "a", "b.test"),
        (" <a@b.test>", "a", "b.test"),
        ("<a.b+c@d.test>", "a.b+c", "d.test"),
        ("<a@localhost>", "a", "localhost"),
        ('<"a b"@c.test>', "a b", "c.test"),
        ('<"a\\"b>"@c.test>', 'a"b>', "c.test"),
        ('<"a@x.test"@c.test>', "a@x.test", "c.test"),
        ("<a%x.test@c.test>", "a%x.test", "c.test"),
        ("<x.test!a@c.test>", "x.test!a", "c.test"),
        ("<@r1.test:a@c.test>", "a", "c.test"),
        ("<@r1.test,@r2.test:a@c.test>", "a", "c.test"),
        ("<a@[192.0.2.1]>", "a", "[192.0.2.1]"),
        ("<a@[IPv6:2001:db8::1]>", "a", "[IPv6:2001:db8::1]"),
        ("<j\u00f6rg@b\u00fccher.test>", "j\u00f6rg", "b\u00fccher.test"),
        ("<a_b@c_d.test>", "a_b", "c_d.test"),
    ],
)
def test_a_path_gives_local_part_and_domain(text: str, local: str, domain: str) -> None:
    assert parse_path(text + " SIZE=1", null_allowed=True) == (Path(local, domain), " SIZE=1")


@pytest.mark.parametrize(
    "text",
    [
        "a@b.test", "<a>", "<@b.test>", "<a@>", "<a@b@c>", "<a@b.>", "<a@.b>", "<a@b..c>", "<a..b@c>",
        "<.a@b>", "<a.@b>", "<a b@c>", "<a@b c>", "<a@b", "a@b>", '<"a@b>', '<"a"b@c>', "<a@[1.2.3]>",
        "<a@[1.2.3.256]>", "<a@[IPv6:zz]>", "<a@[IPv6:fe80::1%lo]>", "<a@[x:y]>", "<a@-b.test>",
        "<a@b-.test>", "<a\x00@b>", "<a@" + "b" * 64 + ".test>", "<a@" + ".".join(["b" * 60] * 5) + ">",
        "<>x@b.test>", "", "<<a@b>>", "<@r1.test,a@b>", "<a:b@c>",
    ],
)  # fmt: skip
def test_what_is_no_path_is_refused(text: str) -> None:
    parsed = parse_path(text, null_allowed=False)
    assert parsed is None


def test_only_mail_has_the_null_path_and_only_rcpt_the_bare_postmaster() -> None:
    assert parse_path("<>", null_allowed=True) == (NULL_PATH, "")
    assert parse_path("<>", null_allowed=False) is None
    assert parse_path("<PostMaster>", null_allowed=False) == (Path("PostMaster", ""), "")
    assert parse_path("<postmaster>", null_allowed=True) is None


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20))
def test_a_path_reads_back_as_it_is_written(local: str) -> None:
    path = Path(local, "b.test")
    assert parse_path(f"<{path.serialize()}>", null_allowed=False) == (path, "")


@pytest.mark.parametrize("text", ["<" + '"' + "\\a" * 100_000, "<" + "a." * 100_000, "<@" + "a-" * 100_000])
def test_a_hostile_path_costs_linear_time(text: str) -> None:
    started_s = time.perf_counter()
    assert parse_path(text, null_allowed=False) is None
    assert time.perf_counter() - started_s < 0.2
