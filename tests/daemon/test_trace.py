"""Reading fates back from the log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mailserver_py.cli.trace import command
from mailserver_py.daemon.trace import fate_of, find_ids, gather, parse_events

EVENTS = [
    {"at": "1", "event": "smtp.accepted", "trace": "aa", "reverse_path": "carol@x.example",
     "recipients": ["bob@example.org", "dave@y.example"], "message_id": "<m1@x.example>"},
    {"at": "2", "event": "delivery.local", "trace": "aa", "recipient": "bob@example.org"},
    {"at": "3", "event": "delivery.deferred", "trace": "aa", "recipient": "dave@y.example", "reply": "busy"},
    {"at": "4", "event": "login.ok", "account": "bob@example.org", "peer": "192.0.2.1"},
    {"at": "5", "event": "delivery.failed", "trace": "aa", "recipient": "dave@y.example"},
    {"at": "6", "event": "delivery.bounced", "trace": "aa", "to": "carol@x.example", "bounce": "bb"},
    {"at": "7", "event": "delivery.sent", "trace": "bb", "recipient": "carol@x.example"},
    {"at": "8", "event": "smtp.accepted", "trace": "cc", "reverse_path": "z@z.example", "recipients": ["q@q.example"]},
]  # fmt: skip
LINES = ["garbage", "{", *(json.dumps(event) for event in EVENTS), '{"no": "event"}', "[1]", '"x"']


def events() -> list[object]:
    return list(parse_events(LINES))


def test_lines_that_are_no_events_are_skipped() -> None:
    assert len(events()) == len(EVENTS)


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        ("aa", {"aa", "bb"}),
        ("m1@x.example", {"aa"}),
        ("<M1@x.example>", {"aa"}),
        ("dave@y.example", {"aa"}),
        ("Bob@Example.org", {"aa"}),
        ("carol@x.example", {"aa", "bb"}),
        ("nobody@example.org", set()),
    ],
)
def test_a_letter_is_found_by_what_people_know_of_it(wanted: str, ids: set[str]) -> None:
    assert find_ids(parse_events(LINES), wanted) == ids


def test_a_bounce_is_followed_and_the_fate_is_the_last_word() -> None:
    traces = gather(parse_events(LINES), {"aa", "bb"}, "aa")
    assert [(trace.trace_id, fate_of(trace)) for trace in traces] == [
        ("aa", "1 delivered, 1 failed"),
        ("bb", "sent"),
    ]
    assert fate_of(gather(parse_events(LINES), {"cc"}, "cc")[0]) == "in the queue"


def test_the_command_prints_rows_and_json_and_says_when_there_is_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("\n".join(LINES))
    runner = CliRunner()
    shown = runner.invoke(command, ["aa", "--log", str(log)])
    assert shown.exit_code == 0
    assert "aa: 1 delivered, 1 failed" in shown.stdout
    assert "busy" in shown.stdout
    parsed = json.loads(runner.invoke(command, ["bob@example.org", "--log", str(log), "--json"]).stdout)
    assert [found["trace"] for found in parsed] == ["aa", ""]
    assert runner.invoke(command, ["nothing", "--log", str(log)]).exit_code == 1
