"""`mailserver publish SITE`: compares the wanted records with the live ones and sends the difference (RFC 2136).

The plan is shown first. After sending, the zone is read once more: a server may accept an update and ignore a part
of it in silence. Exit status 1 when a difference is left: with `--dry`, or when it has to be put in by hand.
"""

from __future__ import annotations

import asyncio
import json
import sys
from base64 import b64decode
from dataclasses import dataclass, field
from pathlib import Path

import click
import dns.exception
import dns.name
import dns.rdatatype
import dns.tsig

from .. import zone
from ..errors import OperatorError, Reason, WorldError
from ..net.nameserver import Authority, ChangedMeanwhileError, find_authorities, parse_authority
from ..net.resolver import StubResolver
from ..spec.keys import SiteKeys
from ..spec.keys.sealed import write_whole
from ..spec.load import Site, load_site
from ..zone.plan import Plan, plan_zone, update_message
from ..zone.published import Key, Published, parse_published
from ..zone.records import WantedRecord
from ..zone.text import render_zonefile

ATTEMPTS_COUNT = 3
"""Readings when the zone keeps changing under us; then somebody else is at work."""

STATE_FILE = "published.json"


@dataclass(slots=True)
class Survey:
    """What was found: a plan per zone, its server, and the records that no server of ours has."""

    plans: list[tuple[Authority, Plan]] = field(default_factory=list)
    elsewhere: list[WantedRecord] = field(default_factory=list)


@click.command("publish")
@click.argument("site")
@click.option(
    "--dry", is_flag=True, help="Show the difference, send nothing; exit status 1 when there is one."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--yes-delete", is_flag=True, help="Also send a suspiciously large deletion.")
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
def command(site: str, *, dry: bool, yes: bool, yes_delete: bool, as_json: bool) -> None:
    """Compare SITE's records with the live DNS, and send the difference.

    Only names that the spec implies, or that were published from here before, are ever touched.
    """
    loaded = load_site(site)
    keys = SiteKeys.load(loaded)
    missing = [reason for reason in keys.missing() if "DKIM" in reason.text or "'tsig'" in reason.text]
    if missing:
        raise OperatorError(*missing)
    publisher = Publisher(loaded, keys)
    survey = asyncio.run(publisher.survey())
    _show(loaded, survey, as_json=as_json)
    todo = [(server, plan) for server, plan in survey.plans if plan.changes]
    by_hand = loaded.spec.dns.publish == "none"
    _refuse_conflicts(survey)
    homeless = any(record.publish for record in survey.elsewhere)
    if not todo or dry or by_hand:
        sys.exit(1 if todo or homeless else 0)
    _refuse_suspicious(todo, yes_delete)
    _ask(yes)
    sent = asyncio.run(publisher.send())
    if not as_json:
        click.secho(f"published {sent} record sets", fg="green")
    sys.exit(1 if homeless else 0)


class Publisher:
    """One site's records against the DNS."""

    def __init__(self, site: Site, keys: SiteKeys) -> None:
        self.site = site
        self.wanted = zone.render(site.spec, keys.published)
        self.published = load_published(site)
        self._server = _server(site, keys)
        self._closed: set[dns.name.Name] = set()
        """Reverse zones that the server has, but not for us to change (the empty ones of RFC 6303, say)."""

    async def survey(self) -> Survey:
        """Reads the live records and plans; sends nothing. Raises OperatorError or WorldError."""
        owners = [record.owner for record in self.wanted] + [owner for owner, _ in self.published.sets]
        places = await self._places(owners)
        survey = Survey([], [record for record in self.wanted if places[record.owner] is None])
        zones = dict.fromkeys(place for place in places.values() if place is not None)
        for server, origin in zones:
            wanted = [record for record in self.wanted if places[record.owner] == (server, origin)]
            keys = [key for key in self.published.sets if places[key[0]] == (server, origin)]
            published = self.published.within(keys)
            live = await server.read(origin, _questions(wanted, published))
            survey.plans.append((server, plan_zone(origin, wanted, live, published)))
        return survey

    async def send(self) -> int:
        """Sends what `survey` finds, reads again, and remembers. Returns how many record sets changed."""
        sent = 0
        for _ in range(ATTEMPTS_COUNT):
            survey = await self.survey()
            todo = [(server, plan) for server, plan in survey.plans if plan.changes]
            if not todo:
                for _, plan in survey.plans:
                    self._remember(plan)
                return sent
            for server, plan in todo:
                try:
                    await server.update(update_message(plan))
                except ChangedMeanwhileError:
                    continue  # the next reading sees why
                except OperatorError:
                    if not self._is_optional(plan):
                        raise
                    self._closed.add(plan.zone)
                    continue
                sent += len(plan.changes)
                self._remember(plan)
        names = ", ".join(str(change.owner) for _, plan in todo for change in plan.changes[:3])
        raise WorldError(
            f"the zone still differs after {ATTEMPTS_COUNT} updates (first: {names}); is someone else at it?"
        )

    def _is_optional(self, plan: Plan) -> bool:
        """Whether nothing in the plan is more than a try."""
        return all(
            not record.publish
            for record in self.wanted
            if (record.owner, record.rdataset.rdtype) in plan.ours
        )

    def _remember(self, plan: Plan) -> None:
        after = self.published.after(plan.ours, plan.gone)
        data = after.serialize()
        path = state_path(self.site)
        if not path.exists() or path.read_bytes() != data:
            write_whole(path, data)
        self.published = after

    async def _places(
        self, owners: list[dns.name.Name]
    ) -> dict[dns.name.Name, tuple[Authority, dns.name.Name] | None]:
        """Where each name lives: (server, zone), or None."""
        if self._server is not None:
            server = self._server
            zones = await server.zones_of(owners)
            return {
                owner: None if found is None or found in self._closed else (server, found)
                for owner, found in zones.items()
            }
        resolver = StubResolver(self.site.spec.dns.resolver or "")
        needed = {record.owner for record in self.wanted if record.publish}
        found = await asyncio.gather(
            *(_public_place(resolver, owner, is_needed=owner in needed) for owner in owners)
        )
        return dict(zip(owners, found, strict=True))


async def _public_place(
    resolver: StubResolver, owner: dns.name.Name, *, is_needed: bool
) -> tuple[Authority, dns.name.Name] | None:
    """The first authoritative server that answers for the name.

    Raises WorldError when it cannot be told, and is needed: reverse names are often served badly, by others.
    """
    try:
        known = await find_authorities(resolver, owner)
    except WorldError:
        if is_needed:
            raise
        known = None
    if known is None:
        return None
    refusal: WorldError | None = None
    for server in known[1]:
        try:
            origin = await server.zone_of(owner)
        except WorldError as error:
            refusal = error
            continue
        if origin is not None:
            return server, origin
    if refusal is not None and is_needed:
        raise refusal
    return None


def _server(site: Site, keys: SiteKeys) -> Authority | None:
    """The server that the spec names, with its key."""
    rule = site.spec.dns.rfc2136
    if site.spec.dns.publish != "rfc2136" or rule is None:
        return None
    try:
        secret = b64decode(keys.open("tsig").strip(), validate=True)
        key = dns.tsig.Key(rule.key_name, secret, f"{rule.algorithm}.")
    except (ValueError, dns.exception.DNSException):
        cure = f"put in the server's: `mailserver keys {site.name} --import tsig FILE` (- for stdin)"
        raise OperatorError(Reason("is no base64 text", cure, str(keys.path("tsig")))) from None
    return parse_authority(rule.server, key)


def _questions(wanted: list[WantedRecord], published: Published) -> list[Key]:
    """Owners and types to read; a CNAME at a wanted owner is asked for too."""
    keys: dict[Key, None] = {}
    for record in wanted:
        keys[record.owner, record.rdataset.rdtype] = None
        keys[record.owner, dns.rdatatype.CNAME] = None
    return [*keys, *(key for key in published.sets if key not in keys)]


def state_path(site: Site) -> Path:
    """What was published before, in the site's public folder: it belongs into git."""
    return site.public_folder / STATE_FILE


def load_published(site: Site) -> Published:
    """The memory; empty before the first time. Raises OperatorError when the file is damaged."""
    path = state_path(site)
    try:
        return parse_published(path.read_bytes())
    except FileNotFoundError:
        return Published()
    except (ValueError, OSError) as error:
        cure = "restore it from git; without it nothing that was published before can be deleted"
        raise OperatorError(Reason(f"cannot be read: {error}", cure, str(path))) from None


def _show(site: Site, survey: Survey, *, as_json: bool) -> None:
    changed = [plan for _, plan in survey.plans if plan.changes]
    if as_json:
        document = {
            "site": site.name,
            "zones": [plan.values() for plan in changed],
            "elsewhere": [str(record.owner) for record in survey.elsewhere],
        }
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
        return
    for server, plan in survey.plans:
        if plan.changes:
            click.secho(
                f"{plan.zone.to_text(omit_final_dot=True)} at {server}: {len(plan.changes)} changes",
                bold=True,
            )
            click.echo(plan.render())
        else:
            click.secho(f"{plan.zone.to_text(omit_final_dot=True)} at {server}: nothing to do", fg="green")
    ask = [record for record in survey.elsewhere if not record.publish]
    lost = [record for record in survey.elsewhere if record.publish]
    if lost:
        click.secho("no zone of the DNS server holds these; put them in where the zone is:", fg="yellow")
        click.echo(render_zonefile(lost), nl=False)
    if ask:
        click.echo("ask the provider of the addresses for:")
        for record in ask:
            click.echo(f"    {record.owner} {record.rdataset}")
    if changed and site.spec.dns.publish == "none":
        click.echo(
            "`dns.publish` is none: put the changes in by hand (`mailserver zone SITE --format zonefile`)"
        )


def _refuse_conflicts(survey: Survey) -> None:
    reasons = [
        Reason(
            f"{owner} is an alias (CNAME) now, and nothing can stand beside one",
            "remove the CNAME by hand; it is not ours",
        )
        for _, plan in survey.plans
        for owner in plan.conflicts
    ]
    if reasons:
        raise OperatorError(*reasons)


def _refuse_suspicious(todo: list[tuple[Authority, Plan]], yes_delete: bool) -> None:
    reasons = [
        Reason(
            f"{plan.deletions_count} of {plan.known_count} record sets in {plan.zone} would be deleted",
            "if that is meant, run again with --yes-delete",
        )
        for _, plan in todo
        if plan.is_suspicious
    ]
    if reasons and not yes_delete:
        raise OperatorError(*reasons)


def _ask(yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise OperatorError(Reason("nothing was sent: there is no terminal to ask", "run again with --yes"))
    if not click.confirm("Send these changes?"):
        click.echo("nothing was sent")
        sys.exit(1)
