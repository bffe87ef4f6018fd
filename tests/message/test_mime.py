"""MIME structure: what is a part of what, and exactly where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.message.mime import DEPTH_LIMIT, PART_COUNT_LIMIT, Part, parse_structure


def crlf(text: str) -> bytes:
    return text.encode().replace(b"\n", b"\r\n")


def shape(part: Part) -> object:
    name = f"{part.type.decode()}/{part.subtype.decode()}"
    if part.message is not None:
        return (name, shape(part.message))
    return (name, *map(shape, part.parts)) if part.parts else name


def body(data: bytes, part: Part) -> bytes:
    return data[part.body_start : part.end]


def all_parts(part: Part) -> list[Part]:
    inner = [part.message] if part.message is not None else list(part.parts)
    return [part, *(found for child in inner for found in all_parts(child))]


def check(data: bytes) -> Part:
    """What every reader relies on."""
    root = parse_structure(data)
    assert (root.start, root.end) == (0, len(data))
    for part in all_parts(root):
        assert part.start == part.header.start <= part.body_start == part.header.end <= part.end
        assert part.line_count == body(data, part).count(b"\n")
        assert part.size_bytes == part.end - part.body_start
        assert (part.type == b"multipart") == bool(part.parts)
        is_message = part.type == b"message" and part.subtype in (b"rfc822", b"global")
        assert is_message == (part.message is not None)
        at = part.body_start
        for child in [part.message] if part.message is not None else part.parts:
            assert at <= child.start <= child.end <= part.end
            at = child.end
        if part.message is not None:
            assert (part.message.start, part.message.end) == (part.body_start, part.end)
    return root


NESTED = crlf("""\
Content-Type: multipart/mixed; boundary="outer"

preamble
--outer
Content-Type: multipart/alternative; boundary=out

--out
Content-Type: text/plain

plain
--out
Content-Type: text/html

<p>html</p>

--out--
--outer
Content-Type: message/rfc822

Subject: inside
Content-Type: multipart/digest; boundary=d

--d

Subject: in the digest

x
--d--
--outer\x20\x20
Content-Disposition: attachment; filename="a b.txt"
Content-ID: <1@x>
Content-Description: about
Content-Language: en, de-CH
Content-Location: http://x/
Content-MD5: abc==
Content-Transfer-Encoding: BASE64

eHg=
--outer--
epilogue
""")


def test_parts_are_found_where_they_are() -> None:
    root = check(NESTED)
    assert shape(root) == (
        "multipart/mixed",
        ("multipart/alternative", "text/plain", "text/html"),
        ("message/rfc822", ("multipart/digest", ("message/rfc822", "text/plain"))),
        "text/plain",
    )
    alternative, letter, attached = root.parts
    assert [body(NESTED, part) for part in alternative.parts] == [b"plain", b"<p>html</p>\r\n"]
    assert letter.message is not None
    assert letter.message.header.value(b"subject") == b"inside"
    digested = letter.message.parts[0].message
    assert digested is not None
    assert body(NESTED, digested) == b"x"
    assert body(NESTED, attached) == b"eHg="


def test_the_content_fields_are_read() -> None:
    part = check(NESTED).parts[2]
    assert part.encoding == b"base64"
    assert part.disposition == b"attachment"
    assert part.disposition_parameters == ((b"filename", b"a b.txt"),)
    assert part.content_id == b"<1@x>"
    assert part.description == b"about"
    assert part.language == (b"en", b"de-CH")
    assert part.location == b"http://x/"
    assert part.md5 == b"abc=="
    assert part.parameters == ((b"charset", b"us-ascii"),)


def test_a_letter_with_bare_line_feeds_has_the_same_structure() -> None:
    bare = NESTED.replace(b"\r\n", b"\n")
    assert shape(check(bare)) == shape(check(NESTED))
    assert [body(bare, p) for p in all_parts(check(bare))] == [
        body(NESTED, p).replace(b"\r\n", b"\n") for p in all_parts(check(NESTED))
    ]


@pytest.mark.parametrize("cut", range(0, len(NESTED), 7))
def test_a_letter_cut_off_anywhere_is_still_whole_to_its_reader(cut: int) -> None:
    check(NESTED[:cut])


M = "Content-Type: multipart/mixed; boundary="
WILD = {
    "no content type": ("Subject: x\n\nbody", "text/plain"),
    "no header": ("\nbody", "text/plain"),
    "no body": ("Subject: x\n", "text/plain"),
    "nothing": ("", "text/plain"),
    "type only": ("Content-Type: text\n\nx", "text/plain"),
    "garbage type": ("Content-Type: ;;;=\n\nx", "text/plain"),
    "type with a comment": ("Content-Type: (c) text/(d)html(e); charset=x\n\nx", "text/html"),
    "no boundary": ("Content-Type: multipart/mixed\n\n--b\n\nx\n--b--\n", "text/plain"),
    "empty boundary": (M + '""\n\n--\n\nx\n----\n', "text/plain"),
    "no delimiter": (M + "b\n\nx\n", "text/plain"),
    "only the close delimiter": (M + "b\n\n--b--\nx\n", "text/plain"),
    "never closed": (M + "b\n\n--b\n\nx\n", ("multipart/mixed", "text/plain")),
    "not even a line end": (M + "b\n\n--b", ("multipart/mixed", "text/plain")),
    "part without a header": (M + "b\n\n--b\n\nx\n--b--", ("multipart/mixed", "text/plain")),
    "part without an empty line": (
        M + "b\n\n--b\nContent-Type: text/html\n--b\n\nx\n--b--",
        ("multipart/mixed", "text/html", "text/plain"),
    ),
    "delimiter right behind a header": (
        M + "b\n\n--b\nContent-Type: text/html\n\n--b\n\nx\n--b--",
        ("multipart/mixed", "text/html", "text/plain"),
    ),
    "boundary in two pieces": (
        "Content-Type: multipart/mixed; boundary*1=c; boundary*0=b\n\n--bc\n\nx\n--bc--",
        ("multipart/mixed", "text/plain"),
    ),
    "boundary with a space": (M + '"a b"\n\n--a b\n\nx\n--a b--', ("multipart/mixed", "text/plain")),
    "boundary ending in dashes": (M + '"b--"\n\n--b--\n\nx\n--b----', ("multipart/mixed", "text/plain")),
    "prefix of another, outer shorter": (
        M + "b\n\n--b\n" + M + "bb\n\n--bb\n\nx\n--bb--\n--b--",
        ("multipart/mixed", ("multipart/mixed", "text/plain")),
    ),
    "prefix of another, outer longer": (
        M + "bb\n\n--bb\n" + M + "b\n\n--b\n\nx\n--b--\n--bb--",
        ("multipart/mixed", ("multipart/mixed", "text/plain")),
    ),
    "inner never closed": (
        M + "o\n\n--o\n" + M + "i\n\n--i\n\nx\n--o\n\ny\n--o--",
        ("multipart/mixed", ("multipart/mixed", "text/plain"), "text/plain"),
    ),
    "inner delimiters after its end": (
        M + "o\n\n--o\n" + M + "i\n\n--i\n\nx\n--i--\n--i\n\ny\n--o--",
        ("multipart/mixed", ("multipart/mixed", "text/plain")),
    ),
    "one boundary for both": (
        M + "b\n\n--b\n" + M + "b\n\n--b\n\nx\n--b--\n--b\n\ny\n--b--",
        ("multipart/mixed", ("multipart/mixed", "text/plain"), "text/plain"),
    ),
    "message as it is": ("Content-Type: message/rfc822\n\nSubject: x\n\nx", ("message/rfc822", "text/plain")),
    "empty message": ("Content-Type: message/rfc822\n\n", ("message/rfc822", "text/plain")),
    "message in UTF-8": ("Content-Type: message/global\n\nS: x\n\nx", ("message/global", "text/plain")),
    "message that a delimiter ends": (
        M + "b\n\n--b\nContent-Type: message/rfc822\n\nSubject: x\n--b--",
        ("multipart/mixed", ("message/rfc822", "text/plain")),
    ),
    "delivery status is a leaf": (
        "Content-Type: message/delivery-status\n\nA: b\n",
        "message/delivery-status",
    ),
    "mbox From line": ("From x Mon\n" + M + "b\n\n--b\n\nx\n--b--", ("multipart/mixed", "text/plain")),
}


@pytest.mark.parametrize("name", WILD)
def test_mime_as_found_in_the_wild_has_a_structure(name: str) -> None:
    text, wanted = WILD[name]
    assert shape(check(crlf(text))) == wanted
    assert shape(check(text.encode())) == wanted


def test_deeper_than_the_limit_is_octets() -> None:
    data = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(150)
    )
    part, depth = check(data), 1
    while part.parts:
        part, depth = part.parts[0], depth + 1
    assert depth == DEPTH_LIMIT
    assert shape(part) == "application/octet-stream"
    messages = check(b"Content-Type: message/rfc822\r\n\r\n" * 150)
    assert len(all_parts(messages)) == DEPTH_LIMIT


def test_more_parts_than_the_limit_belong_to_the_last() -> None:
    data = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * (PART_COUNT_LIMIT + 5)
    root = check(data)
    assert len(root.parts) == PART_COUNT_LIMIT - 1
    assert body(data, root.parts[0]) == b"x"
    assert root.parts[-1].end == len(data)


PIECES = [
    b"\r\n", b"\n", b"\r\n\r\n", b"--a", b"--a--", b"--b", b"--b--", b" ", b"x", b"--",
    b"Content-Type: multipart/mixed; boundary=a\r\n", b"Content-Type: multipart/digest; boundary=b\n",
    b"Content-Type: message/rfc822\r\n", b"Content-Type: text/html\n", b"Subject: y\r\n",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join))
def test_any_mixture_has_parts_that_nest_and_never_overlap(data: bytes) -> None:
    check(data)


@given(st.binary(max_size=200))
def test_no_octets_raise(data: bytes) -> None:
    check(data)
    check(b"Content-Type: " + data + b"\r\n\r\n")
    check(b"Content-Disposition: " + data + b"\r\n\r\n")
