"""`mailserver check SITE`: everything that is wrong with a spec, at once; changes nothing."""

from __future__ import annotations

import json

import click

from ..spec.load import Site, load_site
from .output import summary


@click.command("check")
@click.argument("site")
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
def command(site: str, as_json: bool) -> None:
    """Say everything that is wrong with SITE's spec, each with file, line and cure; exit status 2.

    Changes nothing and asks nobody.
    """
    loaded = load_site(site, files=True)
    if as_json:
        click.echo(json.dumps({"site": loaded.name, "reasons": []}))
        return
    summary(f"{loaded.file} is sound", _rows(loaded))


def _rows(site: Site) -> list[tuple[str, str]]:
    spec = site.spec
    doors = [name for name, is_open in spec.listeners.model_dump().items() if is_open]
    return [
        ("domains", ", ".join(spec.domains)),
        ("hosts", ", ".join(f"{name} {_addresses(site, name)}" for name in spec.hosts)),
        ("accounts", _counted(list(spec.accounts))),
        ("groups", _counted(list(spec.groups))),
        ("listeners", ", ".join(doors)),
        ("certificate", spec.tls.source),
        ("DNS", f"published by {spec.dns.publish}" if spec.dns.publish != "none" else "published by hand"),
    ]


def _addresses(site: Site, name: str) -> str:
    host = site.spec.hosts[name]
    return " ".join(str(address) for address in (host.ipv4, host.ipv6) if address is not None)


def _counted(names: list[str]) -> str:
    """A few names, or how many more there are."""
    shown = 5
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return (", ".join(names[:shown]) + more) or "none"
