"""The log's lines."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.daemon.log import VALUE_LIMIT_CHARS, Log


def lines_of(**fields: object) -> list[str]:
    lines: list[str] = []
    Log(lambda: datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC), lines.append).event("x.y", trace="t", **fields)
    return lines


def test_a_line_has_instant_event_and_trace() -> None:
    assert lines_of(peer="192.0.2.1", size_bytes=5, empty="", none=None) == [
        '{"at":"2026-01-02T03:04:05.678Z","event":"x.y","trace":"t","peer":"192.0.2.1","size_bytes":5}'
    ]


@given(st.one_of(st.text(), st.binary(), st.lists(st.text()), st.dictionaries(st.text(), st.binary())))
def test_whatever_a_peer_says_is_one_printable_line(value: object) -> None:
    (line,) = lines_of(value=value)
    assert "\n" not in line
    assert line.isprintable()
    assert json.loads(line)["event"] == "x.y"


def test_values_are_bounded() -> None:
    (line,) = lines_of(value="x" * 10_000_000, many=["x"] * 10_000)
    assert len(line) < 2 * VALUE_LIMIT_CHARS


def test_an_incident_says_where_and_not_with_which_values() -> None:
    lines: list[str] = []
    log = Log(lambda: datetime.now(UTC), lines.append)
    secret = "hunter2"
    try:
        int("no number")
    except ValueError as error:
        assert log.incident(error, "abc", trace="t") == "abc"
    row = json.loads(lines[0])
    assert (row["event"], row["incident"], row["trace"]) == ("session.error", "abc", "t")
    assert row["traceback"][-1].startswith("test_log.py:")
    assert secret not in lines[0]
