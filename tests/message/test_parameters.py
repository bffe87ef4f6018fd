"""MIME parameters: as they stand, as they are meant, and the way back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.message.fields import parameters_text
from mailserver_py.message.parameters import (
    PARAMETER_COUNT_LIMIT,
    decode_parameters,
    join_pieces,
    parse_parameters,
)

AS_THEY_STAND = {
    "none": (b"text/plain", []),
    "token": (b"text/plain; Charset=utf-8", [(b"charset", b"utf-8")]),
    "quoted": (b'x; name="a; \\"b\\" \\\\"', [(b"name", b'a; "b" \\')]),
    "spaces": (b"x ; a = b ;\r\n\tc= d", [(b"a", b"b"), (b"c", b"d")]),
    "unquoted spaces": (b"x; name=a b.txt; c=d", [(b"name", b"a b.txt"), (b"c", b"d")]),
    "comments": (b'x; a=b (c;d=e (f)); g="(h)"', [(b"a", b"b"), (b"g", b"(h)")]),
    "empty": (b"x;; a=; ;b=c;", [(b"a", b""), (b"b", b"c")]),
    "no value": (b"x; a; b=c", [(b"b", b"c")]),
    "never closed": (b'x; a="b; c', [(b"a", b"b; c")]),
    "semicolon in quotes first": (b'"x;y=z"; a=b', [(b"a", b"b")]),
    "raw octets": (b'x; name="\xc3\xb6"', [(b"name", b"\xc3\xb6")]),
}


@pytest.mark.parametrize("name", AS_THEY_STAND)
def test_parameters_are_kept_as_they_stand(name: str) -> None:
    value, wanted = AS_THEY_STAND[name]
    assert list(parse_parameters(value)) == wanted


AS_MEANT = {
    "plain": (b"x; name=a", {"name": "a"}),
    "encoded": (b"x; name*=iso-8859-1'de'J%F6rg", {"name": "Jörg"}),
    "pieces": (b"x; name*0=a; name*1=b; name*2=c", {"name": "abc"}),
    "pieces in any order": (b"x; name*2=c; name*0=a; name*1=b", {"name": "abc"}),
    "pieces to the first gap": (b"x; name*0=a; name*2=c", {"name": "a"}),
    "no first piece": (b"x; name*1=a", {}),
    "both kinds": (b"x; name*0*=utf-8''%C3; name*1*=%B6; name*2=%41", {"name": "ö%41"}),
    "encoded wins": (b"x; name=ascii; name*=utf-8''%C3%B6", {"name": "ö"}),
    "first wins": (b"x; name=a; name=b", {"name": "a"}),
    "encoded word": (b'x; name="=?utf-8?q?=C3=B6?="', {"name": "ö"}),
    "broken escapes": (b"x; name*=utf-8''%C3%B6%ZZ%4", {"name": "ö%ZZ%4"}),
    "no charset": (b"x; name*=%C3%B6", {"name": "ö"}),
    "raw latin": (b'x; name="J\xf6rg"', {"name": "Jörg"}),
}


@pytest.mark.parametrize("name", AS_MEANT)
def test_parameters_are_read_as_they_are_meant(name: str) -> None:
    value, wanted = AS_MEANT[name]
    assert decode_parameters(parse_parameters(value)) == wanted


NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
VALUES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=120)


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_what_is_written_is_read_back(parameters: dict[str, str]) -> None:
    text = "text/plain" + parameters_text(tuple(parameters.items()))
    assert text.isascii()
    assert decode_parameters(parse_parameters(text.encode())) == parameters


@given(st.lists(st.sampled_from([*b";=\"\\()*' \r\n012a%\xff"])).map(bytes))
def test_no_octets_raise(value: bytes) -> None:
    parameters = parse_parameters(value)
    decode_parameters(parameters)
    join_pieces(parameters, b"a")


def test_the_first_of_too_many_are_kept() -> None:
    assert len(parse_parameters(b"x" + b"; a=b" * (PARAMETER_COUNT_LIMIT + 1))) == PARAMETER_COUNT_LIMIT
