"""`mailserver try [SITE]`: the server on this machine's loopback, unprivileged, verified, and left running.

Everything is made for the occasion and removed at the end: keys, passwords, certificate, letters.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from ..errors import OperatorError, Reason, WorldError
from ..spec.listeners import LISTENERS
from ..spec.load import load_site
from ..spec.model import MailSpec
from ..verify.checks import CHECKS
from ..verify.report import render_json
from ..verify.run import Wish, verify
from ..verify.shape import Verdict
from .output import table
from .rehearse import EXAMPLE, STRANGER, Rehearsal
from .verify import show

PORT_BASE = 10_000
"""Added to the standard ports: 10025, 10993 … are free on most machines and open to everybody."""


@click.command("try")
@click.argument("site", required=False)
@click.option("--once", is_flag=True, help="Verify, stop, and exit with the verification's status.")
@click.option(
    "--port-base",
    type=click.IntRange(1_024, 64_000),
    default=PORT_BASE,
    show_default=True,
    help="Added to the standard ports.",
)
@click.option("--folder", type=click.Path(path_type=Path), help="Keep everything in this new folder.")
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
def command(*, site: str | None, once: bool, port_base: int, folder: Path | None, as_json: bool) -> None:
    """Run the server here, unprivileged, on loopback; verify it; stay until Ctrl-C.

    With SITE its spec is tried, else a small example. Keys, passwords and the certificate are made for this
    try alone; nothing is sent anywhere and nothing stays behind.
    """
    name, spec = _spec(site)
    with _until_asked(), _folder(folder) as place:
        started = time.monotonic()
        rehearsal = Rehearsal(spec, place, port_base)
        try:
            rehearsal.start()
            ready_s = time.monotonic() - started
            click.echo(f"two workers and a queue answer after {ready_s:.1f} s; verifying …", err=True)
            verdict = _verify(name, rehearsal)
            if as_json:
                _print_json(rehearsal, verdict, ready_s)
            else:
                show(verdict, as_json=False)
            if not once:
                if not as_json:
                    _print_settings(rehearsal)
                click.echo("running until Ctrl-C", err=True)
                _stay(rehearsal)
        finally:
            rehearsal.stop()
    raise SystemExit(verdict.exit_status if once else 0)


def _spec(site: str | None) -> tuple[str, MailSpec]:
    if site is None:
        return "a small example", MailSpec.model_validate(EXAMPLE)
    loaded = load_site(site)
    return loaded.name, loaded.spec


def _verify(name: str, rehearsal: Rehearsal) -> Verdict:
    world = rehearsal.world()
    return asyncio.run(verify(name, world, CHECKS, Wish(skip=world.spec.verification.skip)))


def _stay(rehearsal: Rehearsal) -> None:
    """Until somebody asks to stop; a process that dies ends the try."""
    processes = [*rehearsal.ours.sandbox.processes, *rehearsal.stranger.sandbox.processes]
    try:
        while all(process.poll() is None for process in processes):
            time.sleep(0.3)
    except KeyboardInterrupt:
        return
    raise WorldError(f"a process of the server ended; its last words:\n{rehearsal.ours.sandbox.last_words()}")


def _print_settings(rehearsal: Rehearsal) -> None:
    """What a mail client asks for."""
    ours = rehearsal.ours
    protection = {row.name: "TLS" if row.implicit_tls else "STARTTLS" for row in LISTENERS}
    click.secho("\nFor a mail client", bold=True)
    table(
        ("server", "what", "port", "protection"),
        [
            (ours.address, name, str(port), protection[name])
            for name, port in ours.sandbox.ports.items()
            if name != "smtp"
        ],
    )
    table(
        ("user", "password"),
        [(account, ours.passwords[account]) for account in ours.spec.accounts],
    )
    stranger = rehearsal.stranger
    click.echo(f"Mail from the world comes to {ours.address}:{ours.sandbox.ports['smtp']}.")
    click.echo(
        f"There is a stranger to write to: {STRANGER} (reads at {stranger.address}, imaps port "
        f"{stranger.sandbox.ports['imaps']}, password {stranger.passwords[STRANGER]})."
    )
    click.echo(f"The certificate is {ours.sandbox.ca_file}; accept it, or trust that file.")
    click.echo(
        f"The log: {ours.sandbox.log_file}; a letter's fate: mailserver trace ADDRESS --log that file."
    )


def _print_json(rehearsal: Rehearsal, verdict: Verdict, ready_s: float) -> None:
    ours, stranger = rehearsal.ours, rehearsal.stranger
    click.echo(
        json.dumps(
            {
                "ready_s": round(ready_s, 2),
                "address": ours.address,
                "ports": ours.sandbox.ports,
                "certificate": str(ours.sandbox.ca_file),
                "log": str(ours.sandbox.log_file),
                "passwords": dict(ours.passwords),
                "stranger": {
                    "address": stranger.address,
                    "ports": stranger.sandbox.ports,
                    "passwords": dict(stranger.passwords),
                },
                "verification": json.loads(render_json(verdict)),
            },
            ensure_ascii=False,
        )
    )


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    """A folder that goes at the end, unless it was asked for."""
    if given is None:
        place = Path(tempfile.mkdtemp(prefix="mailserver-try-"))
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)
        return
    try:
        given.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        raise OperatorError(Reason("exists already", "name a new folder", str(given))) from None
    yield given.resolve()


@contextmanager
def _until_asked() -> Iterator[None]:
    """SIGTERM ends a try as Ctrl-C does, so that nothing stays behind."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
