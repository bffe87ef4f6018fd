"""`mailserver serve`: one process of the mail host, as the systemd units start it."""

from __future__ import annotations

import os
from pathlib import Path

import click

from ..daemon.options import Options, Part
from ..daemon.workers import run_process
from ..errors import OperatorError, Reason
from ..net.systemd import adopt_socket, take_sockets


@click.command("serve")
@click.option("--role", type=click.Choice([part.value for part in Part]), required=True)
@click.option("--settings", type=click.Path(path_type=Path), default="/etc/mailserver/settings.json")
@click.option("--state", type=click.Path(path_type=Path), default="/var/lib/mailserver")
@click.option(
    "--credentials",
    type=click.Path(path_type=Path),
    help="Folder of secrets; default: $CREDENTIALS_DIRECTORY.",
)
@click.option("--tls", type=click.Path(path_type=Path), default="/var/lib/mailserver-tls")
@click.option("--runtime", type=click.Path(path_type=Path), default="/run/mailserver")
@click.option("--rehearsal", type=click.Path(path_type=Path), hidden=True)
@click.option("--socket", "passed", metavar="NAME=FD", multiple=True, hidden=True)
def command(
    *,
    role: str,
    settings: Path,
    state: Path,
    credentials: Path | None,
    tls: Path,
    runtime: Path,
    rehearsal: Path | None,
    passed: tuple[str, ...],
) -> None:
    """Run one role of the mail host until SIGTERM.

    Listening sockets come from the service manager, named after the spec's listeners.
    """
    if credentials is None:
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            raise OperatorError(
                Reason("there is no folder of credentials", "systemd names it; by hand, pass --credentials")
            )
        credentials = Path(folder)
    sockets = take_sockets()
    for text in passed:
        name, _, fd = text.partition("=")
        sockets.setdefault(name, []).append(adopt_socket(int(fd)))
    run_process(Options(Part(role), settings, state, credentials, tls, runtime, rehearsal), sockets)
