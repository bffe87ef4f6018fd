"""`mailserver lab`: a whole site on this machine: real Debian hosts, DNS, a certificate authority, a stranger."""

from __future__ import annotations

import json
import time
from ipaddress import IPv4Address

import click

from ..errors import OperatorError, Reason
from ..lab import remains
from ..lab.commands import become
from ..lab.images import RELEASES
from ..lab.lab import Lab, Step
from ..lab.names import DEFAULT_LAB, Names
from ..lab.site_files import identity_environment
from ..spec.load import load_site
from ..spec.types import Size
from .output import table


def _say(text: str) -> None:
    click.echo(text, err=True)


def _lab(context: click.Context) -> Lab:
    lab = context.obj
    assert isinstance(lab, Lab)
    return lab


@click.group("lab")
@click.option(
    "--lab",
    "name",
    default=DEFAULT_LAB,
    envvar="MAILSERVER_LAB",
    show_default=True,
    help="Which lab; several can stand beside each other.",
)
@click.pass_context
def command(context: click.Context, name: str) -> None:
    """Rehearse a site on real Debian hosts, in a network of their own from which nothing leaves.

    Needs root. `lab exec SITE -- COMMAND` runs anything there, such as pyinfra or a mail client.
    """
    context.obj = Lab(Names(name), _say)


@command.command("up")
@click.argument("site")
@click.option(
    "--release",
    type=click.Choice(sorted(RELEASES)),
    default="bookworm",
    show_default=True,
    help="Debian of the site's hosts.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
@click.pass_context
def up(context: click.Context, site: str, release: str, as_json: bool) -> None:
    """Boot what is missing for SITE; what stands is reused."""
    began = time.monotonic()
    lab = _lab(context)
    steps = lab.up(load_site(site), image=RELEASES[release])
    _show(steps, time.monotonic() - began, as_json)


@command.command("down")
@click.argument("site", required=False)
@click.option("--all", "everything", is_flag=True, help="The cached base images too.")
@click.pass_context
def down(context: click.Context, site: str | None, everything: bool) -> None:
    """Remove every process, mount, namespace, table and file, also what a crash left."""
    lab = _lab(context)
    lab.must_be_root()
    if site is not None and lab.holds not in (None, site, load_site(site).name):
        raise OperatorError(
            Reason(
                f"lab {lab.names.lab} holds site {lab.holds!r}, not {site!r}",
                f"`mailserver lab down {lab.holds}`",
            )
        )
    began = time.monotonic()
    before = remains.find(lab.names).render()
    left = lab.down().render()
    if everything:
        remains.remove_cache()
    if left:
        raise OperatorError(*(Reason(f"could not be removed: {line}") for line in left))
    _say(
        f"lab {lab.names.lab} is gone ({time.monotonic() - began:.1f} s)"
        if before
        else f"there is no lab {lab.names.lab}; nothing to do"
    )


@command.command("status")
@click.argument("site", required=False)
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
@click.pass_context
def status(context: click.Context, site: str | None, as_json: bool) -> None:
    """What stands, and whether anything tried to leave the lab. Exit status 1 when nothing stands."""
    lab = _lab(context)
    hosts = [
        {
            "host": host.plan.name,
            "state": "up" if host.leader else "down",
            "debian": host.plan.image.release,
            "addresses": [str(address) for address in host.plan.addresses],
        }
        for host in (lab.hosts() if lab.stands else [])
    ]
    leaked = lab.network.leaked_count() if lab.stands else 0
    if as_json:
        told = {
            "lab": lab.names.lab,
            "site": lab.holds,
            "stands": lab.stands,
            "hosts": hosts,
            "stopped_packets": leaked,
        }
        click.echo(json.dumps(told, indent=2))
    elif lab.stands:
        rows = [[str(h["host"]), str(h["state"]), str(h["debian"]), " ".join(h["addresses"])] for h in hosts]
        table(("host", "state", "Debian", "addresses"), rows)
        _say(
            f"lab {lab.names.lab} holds site {lab.holds}; {leaked} packets wanted to leave it and were stopped"
        )
    else:
        _say(f"there is no lab {lab.names.lab}; `mailserver lab up SITE` boots one")
    if not lab.stands:
        context.exit(1)


@command.command("exec", context_settings={"ignore_unknown_options": True})
@click.argument("site")
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def exec_(context: click.Context, site: str, argv: tuple[str, ...]) -> None:
    """Run a program of this machine in SITE's lab: its network, its resolver, its certificates.

    This machine's files and user stay as they are.
    """
    lab = _held_lab(context, site)
    become(lab.inside(argv), extra={**lab.environment, **identity_environment(load_site(site))})


@command.command("ssh", context_settings={"ignore_unknown_options": True})
@click.argument("site")
@click.argument("host", required=False)
@click.argument("argv", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def ssh(context: click.Context, site: str, host: str | None, argv: tuple[str, ...]) -> None:
    """Log in to a HOST of the lab as root (default: the site's first), or run a program there."""
    lab = _held_lab(context, site)
    target = lab.host(host or next(iter(load_site(site).spec.hosts)))
    known = f"UserKnownHostsFile={lab.environment['MAILSERVER_KNOWN_HOSTS']}"
    options = ["-i", str(lab.key), "-o", "StrictHostKeyChecking=yes", "-o", known, "-o", "LogLevel=ERROR"]
    become(lab.inside(["ssh", *options, f"root@{target.plan.address}", *argv]), extra=lab.environment)


@command.command("new")
@click.argument("host")
@click.option("--release", type=click.Choice(sorted(RELEASES)), default="bookworm", show_default=True)
@click.option("--address", help="Its IPv4 address in 10.88.0.0/24; default: a free one.")
@click.option(
    "--disk", help="Give it a disk of its own of this size, such as 1GiB, for `powercut` and full disks."
)
@click.pass_context
def new(context: click.Context, host: str, release: str, address: str | None, disk: str | None) -> None:
    """Boot a fresh HOST beside the others; one of that name is replaced."""
    began = time.monotonic()
    size_bytes = int(Size.parse(disk)) if disk else 0
    where = IPv4Address(address) if address else None
    made = _lab(context).new_host(host, image=RELEASES[release], address=where, disk_bytes=size_bytes)
    _say(f"{host} is up at {made.plan.address} ({time.monotonic() - began:.1f} s)")


@command.command("kill")
@click.argument("host")
@click.pass_context
def kill(context: click.Context, host: str) -> None:
    """End everything on HOST at once; its disk keeps what was written. `start` boots it again."""
    _lab(context).host(host).kill()


@command.command("start")
@click.argument("host")
@click.pass_context
def start(context: click.Context, host: str) -> None:
    """Boot HOST again from its disk."""
    target = _lab(context).host(host)
    if target.leader is None:
        target.start()


@command.command("powercut")
@click.argument("host")
@click.pass_context
def powercut(context: click.Context, host: str) -> None:
    """Kill HOST, lose every write that was not durable, and boot it again (needs --disk)."""
    _lab(context).host(host).lose_power()


@command.command("cut")
@click.argument("host")
@click.pass_context
def cut(context: click.Context, host: str) -> None:
    """Pull HOST's network cable."""
    _lab(context).faults.cut(_lab(context).host(host))


@command.command("heal")
@click.argument("host")
@click.pass_context
def heal(context: click.Context, host: str) -> None:
    """Plug HOST's cable in again, and take back delays and blocks."""
    _lab(context).faults.heal(_lab(context).host(host))


@command.command("delay")
@click.argument("host")
@click.argument("milliseconds", type=float)
@click.option("--loss", "loss_percent", type=float, default=0.0, help="Share of packets to lose, in percent.")
@click.pass_context
def delay(context: click.Context, host: str, milliseconds: float, loss_percent: float) -> None:
    """Hold every packet from and to HOST for MILLISECONDS each way."""
    _lab(context).faults.delay(_lab(context).host(host), milliseconds, loss_percent)


@command.command("packages")
def packages() -> None:
    """Print the Debian packages that this machine lacks for a lab, one a line."""
    from ..lab.preconditions import missing_packages

    for package in missing_packages():
        click.echo(package)


def _held_lab(context: click.Context, site: str) -> Lab:
    """The lab, if it stands and holds the site."""
    lab = _lab(context)
    lab.must_be_root()
    if not lab.stands:
        raise OperatorError(Reason(f"lab {lab.names.lab} does not stand", f"run `mailserver lab up {site}`"))
    name = load_site(site).name
    if lab.holds != name:
        cure = f"run `mailserver lab down {lab.holds}` and `mailserver lab up {site}`, or name another lab with --lab"
        raise OperatorError(Reason(f"lab {lab.names.lab} holds site {lab.holds!r}, not {name!r}", cure))
    return lab


def _show(steps: list[Step], seconds: float, as_json: bool) -> None:
    if as_json:
        rows = [
            {"name": s.name, "what": s.what, "seconds": round(s.seconds, 2), "reused": s.reused}
            for s in steps
        ]
        click.echo(json.dumps({"steps": rows, "seconds": round(seconds, 2)}, indent=2))
        return
    rows_ = [(s.name, s.what, "stood already" if s.reused else f"{s.seconds:.1f} s") for s in steps]
    table(("part", "what", "time"), rows_)
    again = all(step.reused for step in steps)
    _say(f"the lab stands{' as it stood before' if again else ''} ({seconds:.1f} s)")
