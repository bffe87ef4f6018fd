"""DKIM: our signatures for a foreign verifier, foreign signatures for ours, and everything that must not pass."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from collections.abc import Callable

import dkim as dkimpy  # type: ignore[import-untyped]  # ships no types
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.senderauth import dkim
from mailserver_py.senderauth.dkim import Result, SigningKey
from mailserver_py.senderauth.dkim.canonical import Canonicalization, canonical_body
from mailserver_py.senderauth.dkim.key_record import parse_key_record
from mailserver_py.senderauth.tag_list import parse_tag_list

from .records import Records

NOW_S = 1_700_000_000
RSA = SigningKey("example.test", "r1", generate_private_key(65_537, 2_048))
ED = SigningKey("example.test", "e1", Ed25519PrivateKey.generate())
LETTER = (
    b"Received: by x\r\nFrom: A <a@example.test>\r\nTo: b@c.test,\r\n\tc@c.test\r\nSubject:  two  spaces \r\n"
    b"Date: Mon, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <1@example.test>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain\r\n\r\nOne  line \t\r\n\r\n  two\r\n\r\n\r\n"
)


def published(*keys: SigningKey) -> Records:
    records = Records()
    for key in keys:
        record = dkim.dkim_record(key.private.public_key())
        records.add(dkim.owner_name(key.selector, key.domain), "TXT", record.encode())
    return records


def verdicts(letter: bytes, records: Records, now_s: int = NOW_S) -> list[dkim.Verdict]:
    return list(asyncio.run(dkim.verify(letter, records, now_s)))


def results(letter: bytes, records: Records | None = None, now_s: int = NOW_S) -> list[Result]:
    return [verdict.result for verdict in verdicts(letter, records or published(RSA, ED), now_s)]


def foreign_verify(letter: bytes, index: int) -> bool:
    def lookup(name: bytes, timeout: int = 5) -> bytes:
        found = asyncio.run(published(RSA, ED).txt(name.decode()))
        return found.values[0]

    return bool(dkimpy.DKIM(letter).verify(index, dnsfunc=lookup))


def foreign_sign(letter: bytes, **options: object) -> bytes:
    values = {
        "selector": b"r1",
        "domain": b"example.test",
        "privkey": dkim.serialize_private_key(RSA.private),
    }
    return bytes(dkimpy.sign(letter, **(values | options)))


def resign(letter: bytes, change: Callable[[str], str], key: SigningKey = RSA) -> bytes:
    """A valid signature whose tags were altered before it was made: what an odd but honest signer writes."""
    header, _, body = letter.partition(b"\r\n\r\n")
    body_hash = base64.b64encode(
        hashlib.sha256(canonical_body(Canonicalization.RELAXED, body)).digest()
    ).decode()
    value = change(
        f"v=1; a={key.algorithm}; c=relaxed/relaxed; d=example.test; s={key.selector}; h=From; bh={body_hash}; b="
    )
    author = next(line for line in header.split(b"\r\n") if line.startswith(b"From:"))
    data = b"from:" + b" ".join(author[5:].split()) + b"\r\ndkim-signature:" + value.encode()
    signature = base64.b64encode(key.sign(data)).decode()
    return f"DKIM-Signature: {value}{signature}\r\n".encode() + letter


# ---- both directions


def test_a_foreign_verifier_passes_both_our_signatures() -> None:
    signed = dkim.sign(LETTER, (RSA, ED), NOW_S) + LETTER
    assert foreign_verify(signed, 0)
    assert foreign_verify(signed, 1)
    assert results(signed) == [Result.PASS, Result.PASS]


@pytest.mark.parametrize("header_form", [b"simple", b"relaxed"])
@pytest.mark.parametrize("body_form", [b"simple", b"relaxed"])
@pytest.mark.parametrize(
    "body", [b"", b"\r\n", b" \r\n\r\n", b"a", b"a\r\n", b"a  b\t\r\n \r\n", b"a\r\n" * 3000]
)
def test_a_foreign_signature_passes_in_every_form(header_form: bytes, body_form: bytes, body: bytes) -> None:
    letter = LETTER[: LETTER.index(b"\r\n\r\n") + 4] + body
    signature = foreign_sign(letter, canonicalize=(header_form, body_form))
    assert results(signature + letter) == [Result.PASS]


def test_a_foreign_ed25519_signature_passes() -> None:
    assert isinstance(ED.private, Ed25519PrivateKey)
    raw = ED.private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    signature = foreign_sign(
        LETTER, selector=b"e1", privkey=base64.b64encode(raw), signature_algorithm=b"ed25519-sha256"
    )
    assert results(signature + LETTER) == [Result.PASS]


def test_of_several_fields_of_one_name_the_last_is_the_signed_one() -> None:
    letter = b"X-A: first\r\nX-A: last\r\n" + LETTER
    signed = foreign_sign(letter, include_headers=[b"from", b"x-a"]) + letter
    assert results(signed.replace(b"first", b"other")) == [Result.PASS]
    assert results(signed.replace(b"last", b"other")) == [Result.FAIL]


def test_the_signed_letter_of_rfc_8463_passes() -> None:
    letter = RFC_8463_LETTER.replace("\n", "\r\n").encode()
    records = Records()
    for selector, record in RFC_8463_KEYS.items():
        records.add(f"{selector}._domainkey.football.example.com", "TXT", record.encode())
    assert results(letter, records) == [Result.PASS, Result.PASS]


@given(st.binary(max_size=300).map(lambda data: data.replace(b"\r", b"").replace(b"\n", b"\r\n") + b"\r\n"))
def test_any_body_that_we_sign_verifies_here_and_there(body: bytes) -> None:
    letter = b"From: a@example.test\r\n\r\n" + body
    signed = dkim.sign(letter, (ED,), NOW_S) + letter
    assert results(signed) == [Result.PASS]
    assert foreign_verify(signed, 0)


# ---- what a signature of ours holds against


@pytest.mark.parametrize(
    "added",
    [b"Subject: other\r\n", b"From: x@evil.test\r\n", b"Reply-To: x@evil.test\r\n", b"To: x\r\n", b"Cc: x\r\n",
     b"Content-Type: text/html\r\n", b"Content-Transfer-Encoding: base64\r\n", b"Date: x\r\n", b"Message-ID: x\r\n"],
)  # fmt: skip
def test_a_field_added_to_a_letter_of_ours_breaks_its_signature(added: bytes) -> None:
    signed = dkim.sign(LETTER, (RSA,), NOW_S) + LETTER
    assert results(added + signed) == [Result.FAIL]
    assert not foreign_verify(added + signed, 0)


def test_trace_fields_in_front_break_nothing() -> None:
    signed = b"Return-Path: <>\r\nReceived: x\r\n" + dkim.sign(LETTER, (RSA, ED), NOW_S) + LETTER
    assert results(signed) == [Result.PASS, Result.PASS]


def test_our_signatures_have_a_time_and_no_length_and_short_lines() -> None:
    for line in dkim.sign(LETTER, (RSA, ED), NOW_S).split(b"\r\n"):
        assert len(line) <= 78
        assert b" l=" not in line
    assert f"t={NOW_S};".encode() in dkim.sign(LETTER, (RSA,), NOW_S)


def test_without_keys_nothing_is_signed() -> None:
    assert dkim.sign(LETTER, (), NOW_S) == b""


# ---- what must not pass


def test_an_altered_body_or_header_fails() -> None:
    signed = dkim.sign(LETTER, (RSA,), NOW_S) + LETTER
    assert results(signed.replace(b"One", b"Two")) == [Result.FAIL]
    assert results(signed.replace(b"two  spaces", b"three")) == [Result.FAIL]
    assert results(signed.replace(b"two  spaces", b"two spaces")) == [Result.PASS]


@pytest.mark.parametrize(
    ("old", "new", "result"),
    [
        ("v=1", "v=2", Result.PERMERROR),
        ("rsa-sha256", "rsa-sha1", Result.PERMERROR),
        ("rsa-sha256", "rsa-sha512", Result.PERMERROR),
        ("relaxed/relaxed", "relaxed/odd", Result.PERMERROR),
        ("d=example.test", "d=", Result.PERMERROR),
        ("d=example.test", "d=exa mple.test", Result.PERMERROR),
        ("h=From", "h=Subject", Result.PERMERROR),
        ("h=From", "h=" + ":".join(["From"] * 257), Result.POLICY),
        ("h=From;", "h=From; i=@other.test;", Result.PERMERROR),
        ("h=From;", "h=From; i=a@sub.example.test;", Result.PASS),
        ("h=From;", "h=From; i=@notexample.test;", Result.PERMERROR),
        ("h=From;", f"h=From; x={NOW_S - 1};", Result.PERMERROR),
        ("h=From;", f"h=From; x={NOW_S + 1};", Result.PASS),
        ("h=From;", "h=From; q=dns/other;", Result.PERMERROR),
        ("h=From;", "h=From; l=x;", Result.PERMERROR),
        ("h=From;", "h=From; h=From;", Result.PERMERROR),
        ("h=From;", "h=From; z=anything; unknown=yes;", Result.PASS),
        ("s=r1", "s=none", Result.PERMERROR),
    ],
)
def test_tags_are_read_strictly(old: str, new: str, result: Result) -> None:
    letter = resign(LETTER, lambda value: value.replace(old, new))
    assert results(letter) == [result]


def test_a_length_that_leaves_text_unsigned_is_noted_and_one_that_is_too_long_fails() -> None:
    body = canonical_body(Canonicalization.RELAXED, LETTER.partition(b"\r\n\r\n")[2])
    short_hash = base64.b64encode(hashlib.sha256(body[:3]).digest()).decode()

    def shorten(value: str) -> str:
        return value[: value.index("bh=")] + f"bh={short_hash}; l=3; b="

    (verdict,) = verdicts(resign(LETTER, shorten), published(RSA))
    assert (verdict.result, verdict.partial_body) == (Result.PASS, True)
    assert "l=" in verdict.reason
    exact = resign(LETTER, lambda value: value.replace("h=From;", f"h=From; l={len(body)};"))
    (verdict,) = verdicts(exact, published(RSA))
    assert (verdict.result, verdict.partial_body) == (Result.PASS, False)
    assert results(resign(LETTER, lambda value: value.replace("h=From;", "h=From; l=99999;"))) == [
        Result.FAIL
    ]


@pytest.mark.parametrize(
    ("record", "result"),
    [
        (b"v=DKIM1; p=", Result.PERMERROR),
        (b"v=DKIM2; p=AAAA", Result.PERMERROR),
        (b"p=AAAA; v=DKIM1", Result.PERMERROR),
        (b"v=DKIM1; k=rsa; p=!!!", Result.PERMERROR),
        (b"v=DKIM1; k=rsa; p=AAAA", Result.PERMERROR),
        (b"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", Result.PERMERROR),
        (b"v=spf1 -all", Result.PERMERROR),
        (b"\xff\xfe", Result.PERMERROR),
        (b"", Result.PERMERROR),
    ],
)
def test_a_bad_key_record_never_passes(record: bytes, result: Result) -> None:
    assert parse_key_record(record, "rsa-sha256").result is result
    assert parse_key_record(record, "rsa-sha256").key is None


@pytest.mark.parametrize(
    "record", [b"v=DKIM1; k=ed25519; p=AAAA", b"k=ed25519; p=" + b"A" * 44, b"k=ed25519; p=?"]
)
def test_a_malformed_ed25519_key_is_no_exception(record: bytes) -> None:
    found = parse_key_record(record, "ed25519-sha256")
    assert found.key is None or found.result is Result.PASS


@pytest.mark.parametrize(
    ("extra", "result"),
    [("s=email;", Result.PASS), ("s=other;", Result.PERMERROR), ("h=sha1;", Result.PERMERROR),
     ("h=sha1:sha256;", Result.PASS), ("t=y:s;", Result.PASS), ("n=note;", Result.PASS)],
)  # fmt: skip
def test_key_records_limit_what_a_key_is_for(extra: str, result: Result) -> None:
    record = dkim.dkim_record(RSA.private.public_key()).replace("k=", f"{extra} k=").encode()
    records = Records().add("r1._domainkey.example.test", "TXT", record)
    assert results(dkim.sign(LETTER, (RSA,), NOW_S) + LETTER, records) == [result]


def test_a_strict_key_signs_for_no_subdomain() -> None:
    record = dkim.dkim_record(RSA.private.public_key()).replace("k=", "t=s; k=").encode()
    records = Records().add("r1._domainkey.example.test", "TXT", record)
    letter = resign(LETTER, lambda value: value.replace("h=From;", "h=From; i=@sub.example.test;"))
    assert results(letter, records) == [Result.PERMERROR]


@pytest.mark.parametrize("bits", [1_024, 2_048])
def test_usual_key_sizes_pass(bits: int) -> None:
    key = SigningKey("example.test", "k", generate_private_key(65_537, bits))
    assert results(dkim.sign(LETTER, (key,), NOW_S) + LETTER, published(key)) == [Result.PASS]


@pytest.mark.parametrize(
    ("bits", "result"), [(4_096, Result.PASS), (4_104, Result.POLICY), (65_536, Result.POLICY)]
)
def test_a_key_that_is_too_long_is_refused_unused(bits: int, result: Result) -> None:
    public = RSAPublicNumbers(65_537, 2 ** (bits - 1) + 1).public_key()
    assert parse_key_record(dkim.dkim_record(public).encode(), "rsa-sha256").result is result


@pytest.mark.parametrize("bits", [512, 768, 1_016])
def test_a_short_key_never_passes(bits: int) -> None:
    assert parse_key_record(b"k=rsa; p=" + rsa_key_of(bits), "rsa-sha256").key is None


def rsa_key_of(bits: int) -> bytes:
    """A SubjectPublicKeyInfo that the library would not make any more: RSA with a modulus of so many bits."""
    modulus = (2 ** (bits - 1) + 1).to_bytes(bits // 8 + 1, "big")

    def tlv(tag: int, content: bytes) -> bytes:
        size = len(content)
        length = bytes([size]) if size < 128 else bytes([0x82]) + size.to_bytes(2, "big")
        return bytes([tag]) + length + content

    numbers = tlv(0x30, tlv(2, modulus) + tlv(2, b"\x01\x00\x01"))
    algorithm = tlv(0x30, bytes.fromhex("06092a864886f70d0101010500"))
    return base64.b64encode(tlv(0x30, algorithm + tlv(3, b"\0" + numbers)))


def test_dns_that_fails_is_a_temperror_and_a_missing_key_a_permerror() -> None:
    signed = dkim.sign(LETTER, (RSA,), NOW_S) + LETTER
    assert results(signed, Records().add("r1._domainkey.example.test", "TIMEOUT", True)) == [Result.TEMPERROR]
    assert results(signed, Records().add("other", "TXT", b"")) == [Result.PERMERROR]


def test_a_thousand_signatures_cost_eight_at_most() -> None:
    fields = b"".join(
        dkim.sign(LETTER, (SigningKey("example.test", f"s{number}", RSA.private),), NOW_S)
        for number in range(12)
    )
    records = Records()
    found = results(fields * 80 + LETTER, records.add("x", "TXT", b""))
    assert len(found) == 9
    assert found[-1] is Result.POLICY
    assert len(records.asked) == 8


def test_a_letter_without_signatures_has_no_verdicts() -> None:
    assert results(LETTER) == []


@pytest.mark.parametrize(
    "field",
    [b"DKIM-Signature:\r\n", b"DKIM-Signature: x\r\n", b"DKIM-Signature: v=1; \xff\r\n",
     b"dkim-signature : a=1; a=2\r\n",
     b"DKIM-Signature: " + b"a=1;" * 10_000 + b"\r\n", b"DKIM-Signature: v=1;" + b" " * 100_000 + b"\r\n"],
)  # fmt: skip
def test_a_malformed_signature_is_a_verdict(field: bytes) -> None:
    assert results(field + LETTER)[0] in (Result.PERMERROR, Result.POLICY)


@given(st.binary(max_size=200))
def test_no_signature_field_raises(value: bytes) -> None:
    results(b"DKIM-Signature: " + value.replace(b"\n", b"") + b"\r\n" + LETTER)


@given(st.binary(max_size=200))
def test_no_tag_list_raises(data: bytes) -> None:
    parse_tag_list(data)


@pytest.mark.parametrize("piece", [b" ", b"\r\n", b" \r\n", b"\t", b"a "])
def test_canonical_forms_cost_linear_time(piece: bytes) -> None:
    body = piece * (4_000_000 // len(piece))
    started_s = time.perf_counter()
    for form in Canonicalization:
        canonical_body(form, body)
    assert time.perf_counter() - started_s < 2.0


def test_keys_read_back_as_they_are_written() -> None:
    for key in (RSA, ED):
        pem = dkim.serialize_private_key(key.private)
        assert dkim.serialize_private_key(dkim.parse_private_key(pem)) == pem
        public = dkim.serialize_public_key(key.private.public_key())
        assert dkim.serialize_public_key(dkim.parse_public_key(public)) == public
    assert "PRIVATE" not in repr(RSA)


@pytest.mark.parametrize(
    "pem", [b"", b"x", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_what_is_no_key_is_refused_without_showing_it(pem: bytes) -> None:
    with pytest.raises(ValueError, match=r"PEM private key$"):
        dkim.parse_private_key(pem)
    with pytest.raises(ValueError, match=r"PEM public key$"):
        dkim.parse_public_key(pem)


RFC_8463_KEYS = {
    "brisbane": "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    "test": "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR"
    "iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutAC"
    "DfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3"
    "Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
}
RFC_8463_LETTER = """\
DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.

"""
