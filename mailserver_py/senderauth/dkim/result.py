"""What DKIM can say of a signature: RFC 8601 §2.7.1."""

from __future__ import annotations

from enum import Enum


class Result(Enum):
    """`none` is missing: a letter without signatures has no verdicts."""

    PASS = "pass"  # noqa: S105 - a verdict, no password
    FAIL = "fail"
    NEUTRAL = "neutral"
    POLICY = "policy"
    PERMERROR = "permerror"
    TEMPERROR = "temperror"
