"""`mailserver verify SITE`: does the world match the spec? On the host, from a timer: `--on-host`."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import click

from ..errors import OperatorError, Reason
from ..spec.verification import VerificationSlice
from ..verify.assemble import world_of_slice
from ..verify.checks import CHECKS
from ..verify.kept import keep
from ..verify.report import print_table, render_json, render_junit
from ..verify.run import Wish, verify
from ..verify.shape import Result, Verdict
from ..verify.world import World

SLICE = Path("/etc/mailserver/verification.json")
STATE = Path("/var/lib/mailserver")
RUNTIME = Path("/run/mailserver")


@click.command("verify")
@click.argument("site", required=False)
@click.option("--only", multiple=True, metavar="CHECK", help="Run only this check; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
@click.option(
    "--junit", type=click.Path(path_type=Path, dir_okay=False), help="Write JUnit XML to a file as well."
)
@click.option("--on-host", is_flag=True, help="Run on the mail host, from its slice (systemd does this).")
def command(
    site: str | None, only: tuple[str, ...], as_json: bool, junit: Path | None, on_host: bool
) -> None:
    """Look at SITE as a stranger and as a user would: DNS, listeners, logins, test letters there and back.

    Exit status: 0 all is well, 1 something is wrong, 75 not all could be looked at.
    """
    _known(only)
    name, world = _host_world() if on_host else _site_world(site)
    verdict = asyncio.run(
        verify(
            name,
            world,
            CHECKS,
            Wish(only=only, skip=world.spec.verification.skip),
            progress=lambda result: None if as_json else _say(result),
        )
    )
    if junit is not None:
        junit.write_text(render_junit(verdict), encoding="utf-8")
    if on_host:
        for trouble in keep(verdict):
            click.echo(f"this result could not be kept: {trouble}", err=True)
    show(verdict, as_json=as_json)
    sys.exit(verdict.exit_status)


def show(verdict: Verdict, *, as_json: bool) -> None:
    """The verdict on stdout."""
    if as_json:
        click.echo(render_json(verdict))
    else:
        print_table(verdict)


def _say(result: Result) -> None:
    if sys.stderr.isatty():
        click.echo(f"  {result.state:<8} {result.check:<10} {result.elapsed_s:6.2f} s", err=True)


def _known(only: tuple[str, ...]) -> None:
    names = [check.name for check in CHECKS]
    strange = [name for name in only if name not in names]
    if strange:
        raise OperatorError(Reason(f"there is no check {strange[0]!r}", f"known are: {', '.join(names)}"))


def _site_world(site: str | None) -> tuple[str, World]:
    if site is None:
        raise OperatorError(Reason("no site is named", "mailserver verify SITE"))
    # Imported late: a mail host has neither YAML nor age, and verifies itself from its slice.
    from ..spec.load import load_site
    from ..verify.site import world_of_site

    loaded = load_site(site)
    return loaded.name, world_of_site(loaded)


def _host_world() -> tuple[str, World]:
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    try:
        wish = VerificationSlice.model_validate_json(SLICE.read_bytes())
        secrets = (Path(credentials or "") / "verify").read_bytes()
    except OSError as error:
        raise OperatorError(
            Reason(
                f"this host cannot verify itself: {error}",
                "it is for mailserver-verify.service on a deployed mail host; elsewhere: mailserver verify SITE",
            )
        ) from error
    return wish.site, world_of_slice(wish, secrets, state_dir=STATE, runtime_dir=RUNTIME)
