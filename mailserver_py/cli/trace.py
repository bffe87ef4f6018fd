"""`mailserver trace ID|ADDRESS`: what became of a letter, from the mail server's journal or a file of its log."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from ..daemon import trace
from ..errors import OperatorError, Reason, WorldError
from ..spec.settings import LOG_NAMESPACE
from .output import table

UNITS = "mailserver-*"


@click.command("trace")
@click.argument("wanted", metavar="ID|ADDRESS")
@click.option("--log", "log_file", type=click.Path(path_type=Path), help="A file instead of the journal.")
@click.option("--since", default="-14d", show_default=True, help="How far back, as journalctl takes it.")
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
def command(*, wanted: str, log_file: Path | None, since: str, as_json: bool) -> None:
    """Tell what became of a letter.

    ID is a trace id, an incident or a Message-ID; ADDRESS is a sender, a recipient or an account. Exit status
    1: the log says nothing of it.
    """
    with log_lines(log_file, since) as lines:
        ids = trace.find_ids(trace.parse_events(lines), wanted)
    with log_lines(log_file, since) as lines:
        traces = trace.gather(trace.parse_events(lines), ids, wanted)
    if as_json:
        click.echo(
            json.dumps(
                [
                    {"trace": found.trace_id, "fate": trace.fate_of(found), "events": found.events}
                    for found in traces
                ],
                ensure_ascii=False,
            )
        )
    else:
        for found in traces:
            _show(found)
    if not traces:
        click.echo(f"the log says nothing of {wanted!r}", err=True)
        raise SystemExit(1)


def _show(found: trace.Trace) -> None:
    title = f"{found.trace_id}: {trace.fate_of(found)}" if found.trace_id else "not about a letter"
    click.secho(title, bold=True)
    table(
        ("time", "what", "whom", "detail"),
        [(row.at, row.what, row.who, row.detail) for row in trace.rows_of(found)],
    )


@contextmanager
def log_lines(log_file: Path | None, since: str) -> Iterator[Iterator[str]]:
    """The log's lines, from a file or the journal. Raises OperatorError, WorldError."""
    if log_file is not None:
        try:
            with log_file.open(encoding="utf-8", errors="replace") as file:
                yield iter(file)
        except OSError as error:
            raise OperatorError(Reason(f"cannot be read: {error.strerror}", "", str(log_file))) from error
        return
    # With the host's own journal, where the lines of earlier releases lie.
    command = ["journalctl", f"--namespace=+{LOG_NAMESPACE}", "--quiet", "--no-pager", "-o", "cat"]
    command += ["--unit", UNITS, "--since", since]
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace") as journal:  # noqa: S603 - a list, no shell
            assert journal.stdout is not None
            yield iter(journal.stdout)
    except FileNotFoundError as error:
        raise OperatorError(
            Reason("there is no journal here", "run this on the mail host, or pass --log FILE")
        ) from error
    if journal.returncode:
        raise WorldError(
            f"journalctl failed with status {journal.returncode}; may this user read the journal?"
        )
