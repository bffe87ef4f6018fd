"""Base subjects: RFC 5256 §2.1."""

from __future__ import annotations

import time

import pytest

from mailserver_py.imap.order import base_subject


@pytest.mark.parametrize(
    ("subject", "base"),
    [
        ("hello", "hello"),
        ("Re: hello", "hello"),
        ("RE: re : Fwd: FW: hello", "hello"),
        ("Re[2]: hello", "hello"),
        ("Re [list]: hello", "hello"),
        ("[list] hello", "hello"),
        ("[list] Re: [other] hello", "hello"),
        ("[list]", "[list]"),
        ("hello (fwd) (FWD) ", "hello"),
        ("[Fwd: hello]", "hello"),
        ("[fwd: [Fwd: Re: hello (fwd)]]", "hello"),
        ("  hello \t  world ", "hello world"),
        ("Regarding: x", "Regarding: x"),
        ("", ""),
        ("Re: ", ""),
    ],
)
def test_base_subjects(subject: str, base: str) -> None:
    assert base_subject(subject) == base


@pytest.mark.parametrize(
    "subject", ["re:" * 1300, "[a]" * 1300, "[fwd:" * 800 + "]" * 90, "(fwd)" * 800, "[" * 4000]
)
def test_a_hostile_subject_takes_no_time(subject: str) -> None:
    start = time.perf_counter()
    base_subject(subject)
    assert time.perf_counter() - start < 0.5
