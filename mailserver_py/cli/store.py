"""`mailserver store check [--repair]`: compares the store's files with its indexes, on the mail host.

Run by root, it becomes the store's owner first, so that nothing it makes locks the server out.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import click

from .host_store import as_owner, opened, state_option


@click.group("store")
def command() -> None:
    """Look after the store of a mail host."""


@command.command("check")
@state_option
@click.option("--repair", is_flag=True, help="Set right what can be derived again.")
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
@click.pass_context
def check(context: click.Context, state: Path, repair: bool, as_json: bool) -> None:
    """Read every file and index, and name what does not fit; exit status 1 when something is found.

    Works beside a running server. With --repair, counters and digests are made again and files of nobody removed;
    a damaged letter or database is only named: its cure is the backup.
    """
    with as_owner(state):
        findings = asyncio.run(look(state, repair))
    if as_json:
        click.echo(
            json.dumps({"store": str(state), "findings": list(findings)}, ensure_ascii=False, indent=2)
        )
    else:
        for finding in findings:
            click.echo(finding)
        click.secho(
            f"{len(findings)} findings" if findings else f"{state} is sound",
            fg="red" if findings else "green",
            err=bool(findings),
        )
    context.exit(1 if findings else 0)


async def look(state: Path, repair: bool) -> Sequence[str]:
    """The findings."""
    async with opened(state) as store:
        return await store.check(repair)
