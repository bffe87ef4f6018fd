"""`mailserver certificate`: look after the host's certificate; what `mailserver-cert.service` runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..daemon.certificate import Job, load_credential, utc_now
from ..daemon.log import Log
from ..daemon.options import load_settings

if TYPE_CHECKING:
    from ..daemon.certificate_authority import Authority


@click.command("certificate")
@click.option(
    "--settings",
    "settings_file",
    type=click.Path(path_type=Path),
    default=Path("/etc/mailserver/settings.json"),
)
@click.option("--tls", "tls_folder", type=click.Path(path_type=Path), default=Path("/var/lib/mailserver-tls"))
@click.option("--runtime", type=click.Path(path_type=Path), default=Path("/run/mailserver"))
@click.option(
    "--credentials", type=click.Path(path_type=Path), default=None, help="Default: $CREDENTIALS_DIRECTORY."
)
@click.option("--stand-in", is_flag=True, help="Only make sure that there is one at all; ask nobody.")
@click.option("--force", is_flag=True, help="Renew although it is not due.")
def command(
    *,
    settings_file: Path,
    tls_folder: Path,
    runtime: Path,
    credentials: Path | None,
    stand_in: bool,
    force: bool,
) -> None:
    """Obtain or renew the host's certificate when it is due.

    Quiet when there is nothing to do. Exit status 75 when the authority or the network refuses: the old certificate
    stays in use.
    """
    settings = load_settings(settings_file)
    key = load_credential(os.environ, "tls-key", credentials)

    def authority() -> Authority:
        # Imported late: the library and its own take a third of a second, and most runs only look at the disk.
        from ..daemon.certificate_authority import Authority

        return Authority(
            directory=settings.acme_directory,
            contact=settings.acme_contact,
            account_key=load_credential(os.environ, "acme-account", credentials),
            tokens=runtime / "acme",
            ca_file=settings.acme_ca_file,
        )

    job = Job(
        settings=settings,
        folder=tls_folder / settings.hostname,
        key=key,
        log=Log(utc_now),
        now=utc_now(),
        obtain=lambda: authority().obtain(settings.hostname, key),
        ask_renewal=lambda chain: authority().ask_renewal(chain),
    )
    if stand_in:
        job.stand_in()
    else:
        job.run(force=force)
