"""`mailserver keys SITE`: makes the keys and secrets that are missing; shows, imports and re-encrypts them.

Secrets come from a file or stdin, never from an argument: those are in the process list and in histories.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from ..errors import OperatorError, Reason
from ..spec import keys
from ..spec.keys import Identities, Made, SiteKeys
from ..spec.load import Site, load_site
from ..spec.write import write_recipients as write_into_spec
from .output import is_terminal


@click.command("keys")
@click.argument("site")
@click.option("--show", metavar="NAME", help="Print one secret, such as password.alice@example.org.")
@click.option(
    "--import", "given", nargs=2, metavar="NAME FILE", help="Put in a given secret; FILE - is stdin."
)
@click.option("--rekey", is_flag=True, help="Encrypt all secrets anew for the spec's recipients.")
@click.option("--new-identity", is_flag=True, help="Make an age identity for this operator.")
@click.option("--write-recipients", is_flag=True, help="Write the recipients into mail.yaml.")
@click.option("--list", "listing", is_flag=True, help="List the secrets and what is missing; make nothing.")
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
def command(
    site: str,
    *,
    show: str | None,
    given: tuple[str, str] | None,
    rekey: bool,
    new_identity: bool,
    write_recipients: bool,
    listing: bool,
    as_json: bool,
) -> None:
    """Make the keys and secrets of SITE that are missing; what exists is kept.

    They are encrypted for `secrets.recipients` in the spec, or for you when it names nobody.
    """
    loaded = load_site(site)
    if show is not None:
        _show(loaded, show)
    elif listing:
        _list(loaded, as_json)
    elif given is not None:
        name, file = given
        keys.import_secret(loaded, name, _read_given(file), identities=_identities(loaded, new_identity))
        click.echo(f"sealed {keys.secret_path(loaded, name)}", err=True)
    else:
        _make(loaded, rekey=rekey, new_identity=new_identity, write=write_recipients, as_json=as_json)


def _make(site: Site, *, rekey: bool, new_identity: bool, write: bool, as_json: bool) -> None:
    identities = _identities(site, new_identity)
    work = keys.rekey if rekey else keys.make_keys
    done = work(site, identities=identities, progress=lambda name: click.echo(f"  {name}", err=True))
    if write:
        site = write_into_spec(site, done.sealed_for)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "made": done.made,
                    "rewritten": done.rewritten,
                    "completed": done.completed,
                    "to_import": done.to_import,
                    "unneeded": done.unneeded,
                    "sealed_for": done.sealed_for,
                },
                ensure_ascii=False,
            )
        )
        return
    _tell(site, done, rekeyed=rekey)


def _tell(site: Site, done: Made, *, rekeyed: bool) -> None:
    if rekeyed:
        click.secho(f"{len(done.made)} secrets sealed anew for {len(done.sealed_for)} recipients", fg="green")
    elif done.made or done.rewritten or done.completed:
        again = f", {len(done.rewritten)} public halves written again" if done.rewritten else ""
        again += f", {len(done.completed)} passwords got SCRAM keys" if done.completed else ""
        click.secho(f"{len(done.made)} secrets made in {site.secrets_folder}{again}", fg="green")
    else:
        click.secho("nothing to do: every key is there", fg="green")
    for name in done.to_import:
        click.echo(f"still missing: {name}")
        click.echo(f"    → mailserver keys {site.name} --import {name} FILE (- for stdin)")
    for name in done.unneeded:
        click.echo(f"no longer needed: {keys.secret_path(site, name)}")
    if not site.spec.secrets.recipients:
        click.echo("sealed for you alone; to say so in the spec (--write-recipients does):")
        click.echo("    secrets:\n      recipients:")
        for recipient in done.sealed_for:
            click.echo(f"        - {recipient}")
    if site.spec.secrets.recovery is None:
        click.echo("no recovery recipient: if your identity is lost, so are these secrets (secrets.recovery)")
    if done.made and not rekeyed:
        account = next(iter(site.spec.accounts))
        click.echo(f"first password: mailserver keys {site.name} --show password.{account}")


def _identities(site: Site, new_identity: bool) -> Identities:
    """What is on this machine; a first identity is made when nobody could read the secrets otherwise."""
    identities = keys.load_identities()
    target = keys.identity_paths()[0]
    first_time = not identities.found and not identities.unusable and not site.spec.secrets.recipients
    if new_identity or (first_time and not SiteKeys.load(site).sealed_for):
        made = keys.create_identity(target)
        click.echo(f"made your identity {made.path}; keep a copy of it offline", err=True)
        return keys.load_identities()
    return identities


def _show(site: Site, name: str) -> None:
    site_keys = SiteKeys.load(site)
    if name not in site_keys.names():
        known = ", ".join(site_keys.names()) or f"none; run `mailserver keys {site.name}`"
        raise OperatorError(Reason(f"there is no secret {name!r}", f"there are: {known}"))
    secret = site_keys.open(name)
    if name.startswith("password."):
        try:
            password = str(json.loads(secret)["password"])
        except (ValueError, KeyError, TypeError):
            cure = f"run `mailserver keys {site.name} --import {name} FILE` to set it again"
            raise OperatorError(Reason("is no password", cure, str(site_keys.path(name)))) from None
        if not password:
            raise OperatorError(Reason(f"{name}: only a hash was imported; the password is not known"))
        click.echo(password)
        return
    sys.stdout.buffer.write(secret)
    sys.stdout.buffer.flush()


def _list(site: Site, as_json: bool) -> None:
    site_keys = SiteKeys.load(site)
    missing = site_keys.missing()
    if as_json:
        found = {"secrets": site_keys.names(), "missing": [reason.text for reason in missing]}
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    for name in site_keys.names():
        click.echo(name)
    for reason in missing:
        click.echo(f"{reason.text}\n    → {reason.cure}")


def _read_given(file: str) -> bytes:
    if file == "-":
        if is_terminal() and sys.stdin.isatty():
            return str(click.prompt("secret", hide_input=True)).encode()
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise OperatorError(Reason(f"cannot be read: {error.strerror}", "", file)) from None
