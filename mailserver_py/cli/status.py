"""`mailserver status SITE`: what each host found when it last looked at itself, fetched over SSH."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import paramiko

from ..spec.host_keys import known_hosts, ssh_address
from ..spec.load import Site, load_site
from ..spec.model import Host
from ..verify.kept import FILE, RUNTIME_FOLDER, STATE_FOLDER, parse_verdict
from ..verify.report import print_table, render_json
from ..verify.shape import Verdict

LAST = f"{RUNTIME_FOLDER / FILE} {STATE_FOLDER / FILE}"
"""The same verdict; after a boot only the second is there."""

CONNECT_S = 15.0


@dataclass(frozen=True, slots=True)
class Told:
    """What one host told, or why it told nothing."""

    host: str
    verdict: Verdict | None
    trouble: str = ""


@click.command("status")
@click.argument("site")
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
def command(site: str, as_json: bool) -> None:
    """Show the last verification that each host of SITE made of itself.

    Exit status: 0 all was well, 1 something was wrong, 75 a host could not be asked or has not looked lately.
    """
    loaded = load_site(site)
    told = [ask(loaded, name, host) for name, host in loaded.spec.hosts.items()]
    if as_json:
        click.echo(json.dumps([_json(one) for one in told], indent=2, ensure_ascii=False))
    else:
        for one in told:
            _show(one)
    sys.exit(exit_status(told))


def exit_status(told: list[Told]) -> int:
    """Wrong before unknown before well."""
    statuses = {75 if one.trouble or one.verdict is None else one.verdict.exit_status for one in told}
    return 1 if 1 in statuses else max(statuses)


def ask(site: Site, name: str, host: Host) -> Told:
    """Reads the verdict that lies on the host; judges nothing but its age."""
    client = paramiko.SSHClient()
    client.load_host_keys(str(known_hosts(site, name, host)))
    # A host that was never deployed to has no key here yet, and is refused: status sends nothing to strangers.
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    ssh = host.ssh
    try:
        client.connect(
            ssh_address(name, host),
            port=ssh.port,
            username=ssh.user,
            key_filename=str(site.folder / Path(ssh.key).expanduser()) if ssh.key else None,
            timeout=CONNECT_S,
            banner_timeout=CONNECT_S,
            auth_timeout=CONNECT_S,
        )
        sudo = "" if ssh.user == "root" else "sudo -n "
        _, out, err = client.exec_command(
            f"{sudo}sh -c 'for file in {LAST}; do cat $file && break; done'", timeout=CONNECT_S
        )
        text, said = out.read().decode("utf-8", "replace"), err.read().decode("utf-8", "replace").strip()
    except (paramiko.SSHException, OSError) as error:
        return Told(name, None, f"cannot be asked over SSH: {error}")
    finally:
        client.close()
    try:
        verdict = parse_verdict(text)
    except ValueError:
        return Told(
            name,
            None,
            f"has not verified itself yet ({said or 'no verdict'}); deploy, and wait for its timer",
        )
    return Told(name, verdict, _late(site, verdict))


def _late(site: Site, verdict: Verdict) -> str:
    every = site.spec.verification.every
    age = datetime.now(UTC) - datetime.fromisoformat(verdict.at)
    if every is None or age < 2 * timedelta(seconds=int(every)) + timedelta(minutes=5):
        return ""
    return f"last looked {age.total_seconds() / 3600:.1f} h ago; is mailserver-verify.timer active?"


def _show(told: Told) -> None:
    click.secho(told.host, bold=True)
    if told.verdict is not None:
        print_table(told.verdict)
    if told.trouble:
        click.secho(f"{told.host} {told.trouble}", fg="yellow")


def _json(told: Told) -> dict[str, object]:
    verdict = None if told.verdict is None else json.loads(render_json(told.verdict))
    return {"host": told.host, "trouble": told.trouble, "verdict": verdict}
