"""Verdicts for people, programmes and CI."""

from __future__ import annotations

import io
import json
from xml.etree import ElementTree

from rich.console import Console

from mailserver_py.verify.report import print_table, render_json, render_junit
from mailserver_py.verify.shape import Finding, Result, Verdict, unknown

VERDICT = Verdict(
    "example",
    "2026-11-24T09:30:00+00:00",
    [
        Result(
            "records",
            "Records",
            0.1,
            (Finding("mx.missing", "example.org MX", "none", "10 mx1", "publish"),),
            (),
        ),
        Result(
            "reverse", "Reverse", 0.2, (unknown("ptr.unknown", "192.0.2.1", "[bold]<&>\x00", "look"),), ()
        ),
        Result("login", "Login", 0.3, (), ("imaps: alice",)),
        Result("host", "Host", 0.0, (), (), "nothing to look at from here"),
    ],
)


def test_the_table_names_code_seen_wanted_and_fix() -> None:
    out = io.StringIO()
    print_table(VERDICT, Console(file=out, width=120, force_terminal=False))
    text = out.getvalue()
    assert all(
        part in text
        for part in ("mx.missing", "seen    none", "wanted  10 mx1", "fix     publish", "imaps: alice")
    )


def test_text_from_outside_is_no_markup_in_the_table() -> None:
    out = io.StringIO()
    print_table(VERDICT, Console(file=out, width=120, force_terminal=False))
    assert "[bold]<&>" in out.getvalue()


def test_json_carries_every_finding_and_the_exit_status() -> None:
    data = json.loads(render_json(VERDICT))
    assert data["exit_status"] == 1
    assert [r["state"] for r in data["results"]] == ["wrong", "unknown", "ok", "skipped"]
    assert data["results"][1]["findings"][0]["certainty"] == "unknown"


def test_junit_is_well_formed_whatever_a_peer_said() -> None:
    suite = ElementTree.fromstring(render_junit(VERDICT))
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors"), suite.get("skipped")) == (
        "4",
        "1",
        "1",
        "1",
    )
    assert suite.find("testcase[@name='records']/failure").get("type") == "mx.missing"
