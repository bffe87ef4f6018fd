"""A verdict for people (a table), for programmes (JSON) and for CI (JUnit XML)."""

from __future__ import annotations

import json
from dataclasses import asdict
from xml.sax.saxutils import escape, quoteattr

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from .shape import Certainty, Result, Verdict

MARKS = {
    "ok": ("✓", "green"),
    "wrong": ("✗", "bold red"),
    "unknown": ("?", "yellow"),
    "skipped": ("–", "dim"),
}


def render_table(verdict: Verdict) -> RenderableType:
    """One row a check with what it saw, then each finding with its fix."""
    table = Table(title=f"Verification of {verdict.site}, {verdict.at}", title_justify="left", expand=False)
    for column in ("", "check", "what was seen", "s"):
        table.add_column(column, justify="right" if column == "s" else "left", overflow="fold")
    for result in verdict.results:
        mark, style = MARKS[result.state]
        table.add_row(
            Text(mark, style),
            Text(result.title, style),
            _seen(result),
            "" if result.skipped else f"{result.elapsed_s:.2f}",
        )
    return Group(table, *_findings(verdict), _summary(verdict))


def _seen(result: Result) -> Text:
    if result.skipped:
        return Text(result.skipped, "dim")
    lines = [f"{f.code}: {f.subject}" for f in result.findings] + list(result.notes)
    return Text("\n".join(lines[:12] + ([f"… and {len(lines) - 12} more"] if len(lines) > 12 else [])))


def _findings(verdict: Verdict) -> list[Text]:
    out = []
    for result in verdict.results:
        for f in result.findings:
            style = "bold red" if f.certainty is Certainty.WRONG else "yellow"
            out.append(
                Text.assemble(
                    (f"\n{f.code}", style),
                    f"  {f.subject}\n  seen    {f.seen}\n  wanted  {f.wanted}\n  fix     {f.fix}",
                )
            )
    return out


def _summary(verdict: Verdict) -> Text:
    counts = {state: sum(r.state == state for r in verdict.results) for state in MARKS}
    if verdict.exit_status == 0:
        return Text(f"\nAll is as wished: {counts['ok']} checks.", "green")
    return Text(
        f"\n{counts['wrong']} checks found something wrong, {counts['unknown']} could not tell, "
        f"{counts['ok']} are well.",
        "bold",
    )


PIPE_WIDTH = 110
"""Columns where no terminal says how many it has: a CI log, a mail."""


def print_table(verdict: Verdict, console: Console | None = None) -> None:
    """Prints the table to stdout, or to a console given."""
    console = console or Console()
    if not console.is_terminal:
        console.width = max(console.width, PIPE_WIDTH)
    console.print(render_table(verdict))


def render_json(verdict: Verdict) -> str:
    """Everything, for programmes; keys are stable."""
    return json.dumps(
        {
            "site": verdict.site,
            "at": verdict.at,
            "exit_status": verdict.exit_status,
            "results": [
                {
                    **asdict(result),
                    "state": result.state,
                    "findings": [{**asdict(f), "certainty": f.certainty.value} for f in result.findings],
                }
                for result in verdict.results
            ],
        },
        indent=2,
        ensure_ascii=False,
    )


def render_junit(verdict: Verdict) -> str:
    """JUnit XML: one test case a check, a failure for wrong, an error for unknown."""
    count = {state: sum(r.state == state for r in verdict.results) for state in MARKS}
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<testsuite name={quoteattr('mailserver verify ' + verdict.site)} timestamp={quoteattr(verdict.at)} "
        f'tests="{len(verdict.results)}" failures="{count["wrong"]}" errors="{count["unknown"]}" '
        f'skipped="{count["skipped"]}">',
    ]
    for result in verdict.results:
        lines.append(
            f'  <testcase classname="verify" name={quoteattr(result.check)} time="{result.elapsed_s:.3f}">'
        )
        if result.skipped:
            lines.append(f"    <skipped message={quoteattr(result.skipped)}/>")
        for f in result.findings:
            tag = "failure" if f.certainty is Certainty.WRONG else "error"
            text = f"{f.subject}: seen {f.seen}; wanted {f.wanted}; fix: {f.fix}"
            lines.append(f"    <{tag} type={quoteattr(f.code)}>{escape(_xml_safe(text))}</{tag}>")
        lines.append("  </testcase>")
    return "\n".join([*lines, "</testsuite>", ""])


def _xml_safe(text: str) -> str:
    """Without the characters that XML 1.0 cannot carry; a peer's reply may hold any."""
    return "".join(c if c >= " " or c in "\t\n" else "�" for c in text)
