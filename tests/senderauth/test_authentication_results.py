"""Authentication-Results: what we write, and what in our name is taken out."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.message.header import parse_header
from mailserver_py.senderauth import dkim, spf
from mailserver_py.senderauth.authentication_results import (
    MethodResult,
    dkim_results,
    remove_foreign,
    serialize,
    spf_result,
)


def test_results_are_written_one_a_line() -> None:
    results = (
        spf_result(spf.Evaluation(spf.Result.PASS, "b.test", "mailfrom"), "a@b.test", "h.test"),
        *dkim_results(
            [
                dkim.Verdict(
                    dkim.Result.FAIL,
                    "b.test",
                    "s",
                    "@b.test",
                    "rsa-sha256",
                    "the body was altered",
                    "abc+/=d",
                )
            ]
        ),
    )
    assert serialize("mx.test", results) == (
        b"Authentication-Results: mx.test;\r\n spf=pass smtp.mailfrom=a@b.test;\r\n"
        b' dkim=fail reason="the body was altered" header.d=b.test header.s=s\r\n'
        b'  header.a=rsa-sha256 header.b="abc+/=d"\r\n'
    )


def test_no_results_are_none() -> None:
    assert serialize("mx.test", ()) == b"Authentication-Results: mx.test; none\r\n"
    assert [result.result for result in dkim_results(())] == ["none"]


def test_the_null_path_is_checked_by_its_helo() -> None:
    found = spf_result(spf.Evaluation(spf.Result.NONE, "h.test", "helo"), "", "h.test")
    assert found.properties == (("smtp.helo", "h.test"),)


@given(st.text(max_size=100), st.text(max_size=100))
def test_a_stranger_s_text_stays_inside_its_value(reason: str, value: str) -> None:
    data = (
        serialize("mx.test", (MethodResult("spf", "fail", reason, (("smtp.mailfrom", value),)),))
        + b"\r\nbody"
    )
    header = parse_header(data)
    assert [field.name for field in header.fields] == [b"Authentication-Results"]
    assert data[header.end :] == b"body"
    outside = re.sub(rb'"(?:[^"\\\\]|\\\\.)*"', b"", header.fields[0].value)
    assert outside.count(b";") == 1


@pytest.mark.parametrize(
    "name",
    [
        b" mx.test; dkim=pass",
        b"MX.Test; dkim=pass",
        b" mx.test. ; dkim=pass",
        b" (comment) mx.test (more (nested)) ; dkim=pass",
        b'\r\n\t"mx.test"; dkim=pass',
        b' "m\\x.test"; dkim=pass',
        b" mx.test 1; dkim=pass",
        b" mx.test",
        b"",
        b" ; dkim=pass",
    ],
)
def test_a_field_that_could_be_taken_for_ours_goes(name: bytes) -> None:
    letter = b"Subject: x\r\nAuthentication-Results:" + name + b"\r\nFrom: a\r\n\r\nbody"
    assert remove_foreign(letter, "mx.test") == b"Subject: x\r\nFrom: a\r\n\r\nbody"


def test_u_labels_and_a_labels_are_one_name() -> None:
    letter = "Authentication-Results: mx.b\u00fccher.test; dkim=pass\r\n\r\n".encode()
    assert remove_foreign(letter, "mx.xn--bcher-kva.test") == b"\r\n"


@pytest.mark.parametrize("name", [b" other.test; dkim=pass", b" xmx.test; a=b", b" mx.test.evil; a=b"])
def test_another_s_field_stays(name: bytes) -> None:
    letter = b"Authentication-Results:" + name + b"\r\n\r\nAuthentication-Results: mx.test; in the body\r\n"
    assert remove_foreign(letter, "mx.test") == letter


@given(st.binary(max_size=200))
def test_no_field_raises(value: bytes) -> None:
    remove_foreign(b"Authentication-Results: " + value + b"\r\n\r\n", "mx.test")
