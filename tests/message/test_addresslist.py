"""Address lists, as people and programs write them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.message.addresslist import (
    MAILBOX_COUNT_LIMIT,
    Group,
    Mailbox,
    mailboxes_of,
    parse_address_list,
)

LISTS: dict[str, tuple[bytes, Sequence[Group | tuple[bytes, ...]]]] = {
    "plain": (b"a@b.example", [Mailbox(b"", b"a", b"b.example")]),
    "angle": (b" <a@b>", [Mailbox(b"", b"a", b"b")]),
    "words": (b"Alice  In\r\n Wonderland <a@b>", [Mailbox(b"Alice In Wonderland", b"a", b"b")]),
    "quoted": (b'"Carroll, \\"L.\\"" <a@b>', [Mailbox(b'Carroll, "L."', b"a", b"b")]),
    "initials": (b"John Q. Public <a@b>", [Mailbox(b"John Q. Public", b"a", b"b")]),
    "encoded word": (b"=?utf-8?q?J=C3=B6?= <a@b>", [Mailbox(b"=?utf-8?q?J=C3=B6?=", b"a", b"b")]),
    "raw utf-8": (b"J\xc3\xb6 <j\xc3\xb6@b\xc3\xb6>", [Mailbox(b"J\xc3\xb6", b"j\xc3\xb6", b"b\xc3\xb6")]),
    "comment as a name": (b"a@b (Alice (in) W)", [Mailbox(b"Alice (in) W", b"a", b"b")]),
    "comment everywhere": (b"(x)Alice(y)<(z)a(q)@b>(n)", [Mailbox(b"Alice", b"a", b"b")]),
    "address as a name": (b"x@y <a@b>", [Mailbox(b"x@y", b"a", b"b")]),
    "several": (b"a@b, C <c@d>,e@f", [(b"", b"a", b"b"), (b"C", b"c", b"d"), (b"", b"e", b"f")]),
    "empty places": (b",, a@b,,", [Mailbox(b"", b"a", b"b")]),
    "semicolons": (b"a@b; c@d", [(b"", b"a", b"b"), (b"", b"c", b"d")]),
    "quoted local": (b'"a b"@c', [Mailbox(b"", b"a b", b"c")]),
    "spaces around dots": (b"a . b @ c . d", [Mailbox(b"", b"a.b", b"c.d")]),
    "literal": (b"a@[192.0.2.1]", [Mailbox(b"", b"a", b"[192.0.2.1]")]),
    "route": (b"<@x,@y:a@b>", [Mailbox(b"", b"a", b"b", b"@x,@y")]),
    "no domain": (b"root", [Mailbox(b"", b"root", b"")]),
    "two at signs": (b"a@b@c", [Mailbox(b"", b"a@b", b"c")]),
    "never closed": (b"A <a@b, c@d", [(b"A", b"a", b"b"), (b"", b"c", b"d")]),
    "closed only": (b"a@b>", [Mailbox(b"", b"a", b"b>")]),
    "group": (b"G: a@b, C <c@d>;", [Group(b"G", (Mailbox(b"", b"a", b"b"), Mailbox(b"C", b"c", b"d")))]),
    "nobody": (b"undisclosed-recipients:;", [Group(b"undisclosed-recipients", ())]),
    "group never closed": (b"G: a@b", [Group(b"G", (Mailbox(b"", b"a", b"b"),))]),
    "group and more": (b"G:; a@b", [Group(b"G", ()), Mailbox(b"", b"a", b"b")]),
    "group mark inside brackets": (b"<Undisclosed:;@b>", [Mailbox(b"", b"Undisclosed:;", b"b")]),
    "empty": (b"", []),
    "null": (b"<>", []),
    "comment that ends in a backslash": (b"(c\\", []),
    "quote never closed": (b'"a', [Mailbox(b"", b"a", b"")]),
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_are_read_as_they_are_meant(name: str) -> None:
    raw, wanted = LISTS[name]
    assert list(parse_address_list(raw)) == [x if isinstance(x, Group) else Mailbox(*x) for x in wanted]


ATOM = st.text("abcXYZ019-_", min_size=1, max_size=8).map(str.encode)
PHRASE = st.lists(ATOM, max_size=3).map(b" ".join)
MAILBOX = st.builds(
    Mailbox, PHRASE, ATOM, st.lists(ATOM, min_size=1, max_size=3).map(b".".join), st.just(b"")
)


@given(st.lists(MAILBOX, max_size=6), st.sampled_from([b",", b", ", b",\r\n\t", b" (x) , "]))
def test_what_is_written_as_a_list_is_read_as_it(mailboxes: list[Mailbox], comma: bytes) -> None:
    raw = comma.join(b"%b <%b@%b>" % (m.display_name, m.local, m.domain) for m in mailboxes)
    read = [
        m._replace(display_name=b"") if m.display_name == b"x" else m
        for m in mailboxes_of(parse_address_list(raw))
    ]
    assert read == mailboxes


@given(st.lists(st.sampled_from([*b'<>()[]:;@\\,." \r\na=?\xff'])).map(bytes))
def test_no_octets_raise(raw: bytes) -> None:
    for mailbox in mailboxes_of(parse_address_list(raw)):
        assert isinstance(mailbox.display_text + mailbox.address, str)


def test_the_first_mailboxes_of_too_many_are_listed() -> None:
    assert len(parse_address_list(b"a@b," * (MAILBOX_COUNT_LIMIT + 10))) == MAILBOX_COUNT_LIMIT
    groups = parse_address_list(b"a:b@c;" * (MAILBOX_COUNT_LIMIT + 10))
    assert MAILBOX_COUNT_LIMIT / 2 <= len(groups) <= MAILBOX_COUNT_LIMIT


def test_names_are_decoded_for_people() -> None:
    mailbox = Mailbox(b"=?iso-8859-1?q?J=F6rg?=", b"j", b"x")
    assert (mailbox.display_text, mailbox.address) == ("Jörg", "j@x")
