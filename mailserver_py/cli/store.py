"""`mailserver store check [--repair]`: compares the store's files with its indexes, on the mail host.

Run by root, it becomes the store's owner first, so that nothing it makes locks the server out.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path

import click

from ..errors import OperatorError, Reason

STATE = "/var/lib/mailserver"
"""Where a deployed host keeps its store."""


@click.group("store")
def command() -> None:
    """Look after the store of a mail host."""


@command.command("check")
@click.option(
    "--state", default=STATE, show_default=True, type=click.Path(path_type=Path), help="The store's folder."
)
@click.option("--repair", is_flag=True, help="Set right what can be derived again.")
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
@click.pass_context
def check(context: click.Context, state: Path, repair: bool, as_json: bool) -> None:
    """Read every file and index, and name what does not fit; exit status 1 when something is found.

    Works beside a running server. With --repair, counters and digests are made again and files of nobody removed;
    a damaged letter or database is only named: its cure is the backup.
    """
    owner_uid, owner_gid = find_owner(state)
    if os.geteuid() == 0 and owner_uid != 0:
        os.setgroups([])
        os.setgid(owner_gid)
        os.setuid(owner_uid)
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


def find_owner(state: Path) -> tuple[int, int]:
    """User and group of the store. Raises OperatorError when there is none."""
    try:
        owner = (state / "site.db").stat()
    except OSError as error:
        reason = Reason(
            f"no store here: {error.strerror}", cure="name its folder with --state", file=str(state)
        )
        raise OperatorError(reason) from error
    return owner.st_uid, owner.st_gid


async def look(state: Path, repair: bool) -> Sequence[str]:
    """The findings."""
    from ..imap.digest import derive
    from ..mailstore.embedded import EmbeddedStore

    store = EmbeddedStore.open(state, digest=derive)
    try:
        return await store.check(repair)
    finally:
        await store.close()
