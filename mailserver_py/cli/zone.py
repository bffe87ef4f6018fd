"""`mailserver zone SITE`: the DNS records that the spec implies, each with its reason; asks nobody."""

from __future__ import annotations

import json

import click

from .. import zone
from ..spec.keys import SiteKeys
from ..spec.load import load_site
from ..zone.text import render_rows, render_values, render_zonefile
from .output import table


@click.command("zone")
@click.argument("site")
@click.option(
    "--format", "form", type=click.Choice(["table", "zonefile", "json"]), default="table", show_default=True
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def command(site: str, form: str, as_json: bool) -> None:
    """Print the DNS records that SITE's spec implies, with the reason for each.

    Needs the public keys (`mailserver keys SITE`), but no secret and no network.
    """
    loaded = load_site(site)
    keys = SiteKeys.load(loaded)
    records = zone.render(loaded.spec, keys.published)
    for domain, found in keys.current.items():
        if not found:
            click.echo(f"{domain} has no DKIM keys yet: run `mailserver keys {loaded.name}`", err=True)
    if as_json or form == "json":
        click.echo(json.dumps(render_values(records), ensure_ascii=False, indent=2))
    elif form == "zonefile":
        click.echo(render_zonefile(records), nl=False)
    else:
        table(("name", "type", "value", "why"), render_rows(records))
