"""What a receiver said, read from what it wrote."""

from __future__ import annotations

import pytest

from mailserver_py.verify.checks.stranger import Said, said


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (
            b"Authentication-Results: mx.peer.test; spf=pass smtp.mailfrom=a@b.test; dkim=pass header.d=b.test\r\n",
            Said("pass", "pass"),
        ),
        (
            b"Received-SPF: Pass (mailfrom) identity=mailfrom\r\nAuthentication-Results: mx; dkim=fail reason=x\r\n",
            Said("pass", "fail"),
        ),
        (
            b"Authentication-Results: mx;\r\n\tdkim=permerror;\r\n\tdkim=pass header.s=e1\r\n",
            Said("", "pass"),
        ),
        (b"Received-SPF: softfail (x)\r\n", Said("softfail", "")),
        (b"Subject: spf=pass dkim=pass\r\n", Said("", "")),
        (
            b"Authentication-Results: near; spf=fail\r\nAuthentication-Results: far; spf=pass\r\n",
            Said("fail", ""),
        ),
    ],
    ids=["one-field", "two-fields", "any-passing-signature-counts", "spf-only", "nothing", "top-most-counts"],
)
def test_the_receivers_verdicts_are_read_from_its_fields(header: bytes, wanted: Said) -> None:
    assert said(header + b"\r\nbody\r\n") == wanted
