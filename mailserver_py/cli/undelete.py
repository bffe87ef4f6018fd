"""`mailserver undelete ACCOUNT`: takes back mail that was expunged, on the mail host."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import OperatorError, Reason
from .host_store import RUNTIME, as_owner, no_account, opened, state_option
from .output import table

if TYPE_CHECKING:
    from ..mailstore.keeping import Expunged, Restored


@click.command("undelete")
@click.argument("account")
@click.argument("uids", metavar="[UID]...", nargs=-1, type=click.IntRange(min=1))
@click.option("--list", "as_list", is_flag=True, help="Show what can be taken back (the default).")
@click.option("--all", "take_all", is_flag=True, help="Take back all that the other options leave.")
@click.option("--mailbox", help="Only what lay in this mailbox; with UIDs default INBOX.")
@click.option("--since", help="Only what was removed since: `3d`, `2h`, or a date `2026-11-24`.")
@click.option("--into", metavar="MAILBOX", help="Put it here; default: where it lay.")
@click.option("--runtime", default=RUNTIME, type=click.Path(path_type=Path), hidden=True)
@state_option
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
def command(
    *,
    account: str,
    uids: tuple[int, ...],
    as_list: bool,
    take_all: bool,
    mailbox: str | None,
    since: str | None,
    into: str | None,
    runtime: Path,
    state: Path,
    as_json: bool,
) -> None:
    """Take back mail of ACCOUNT that was expunged, with flags and dates, under new UIDs.

    How long that can be done says the spec's `retention.expunged`. A mailbox that was deleted is made again. Works
    beside a running server. Exit status 1: nothing fits, or a UID is not there.
    """
    if as_list and (take_all or uids):
        raise click.UsageError("--list shows; it does not go with --all or UIDs")
    if take_all and uids:
        raise click.UsageError("--all and UIDs exclude each other")
    since_s = parse_since(since) if since else 0
    box = mailbox or ("INBOX" if uids else "")
    with as_owner(state):
        found, restored = asyncio.run(
            run(state, runtime, account, (box, since_s, uids), into or "", taking=take_all or bool(uids))
        )
    missing = sorted(set(uids) - {one.uid for one in found})
    if as_json:
        shown = [one._asdict() for one in (restored if take_all or uids else found)]
        click.echo(json.dumps({"account": account, "letters": shown, "missing_uids": missing}, indent=2))
    elif take_all or uids:
        show_restored(found, restored)
    else:
        show_list(found)
    for uid in missing:
        click.echo(f"no expunged letter had UID {uid} in {box}", err=True)
    if missing or not found:
        raise SystemExit(1)


def parse_since(text: str) -> int:
    """`3d` before now, or a date; seconds since the epoch. Raises click.BadParameter."""
    from ..spec.types import Duration

    try:
        return int(time.time()) - Duration.parse(text)
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is neither a time such as `3d` nor a date", param_hint="--since"
        ) from None
    return int(at.astimezone().timestamp() if at.tzinfo is None else at.timestamp())


async def run(
    state: Path,
    runtime: Path,
    name: str,
    wanted: tuple[str, int, Sequence[int]],
    into: str,
    *,
    taking: bool,
) -> tuple[list[Expunged], Sequence[Restored]]:
    """What fits (mailbox, since, UIDs), and what was taken back. Raises OperatorError."""
    from ..mailstore.values import MailboxExists, NoSuchAccount, NoSuchMailbox, OverQuota

    mailbox, since_s, uids = wanted
    async with opened(state, runtime if taking else None) as store:
        try:
            keeping = await store.keeping(name)
        except NoSuchAccount:
            raise no_account(name) from None
        found = [
            one
            for one in await keeping.list_expunged()
            if (not mailbox or one.mailbox == mailbox)
            and one.expunged_at_s >= since_s
            and (not uids or one.uid in uids)
        ]
        if not taking or not found:
            return found, ()
        account = await store.account(name)
        there = {box.name for box in await account.list_mailboxes()}
        try:
            for gone in sorted({one.mailbox for one in found} - there if not into else ()):
                with suppress(MailboxExists):  # made with one below it
                    await account.create(gone)
            return found, await keeping.undelete([one.expunged_id for one in found], into)
        except OverQuota as error:
            cure = "take back less, or raise the account's `quota` and deploy"
            raise OperatorError(Reason(f"it does not fit: {error}", cure)) from error
        except NoSuchMailbox as error:
            raise OperatorError(Reason(f"there is no mailbox {error}", "name one that exists")) from error


def show_list(found: Sequence[Expunged]) -> None:
    """What can be taken back."""
    table(
        ("mailbox", "UID", "removed", "received", "octets", "subject"),
        [
            (
                one.mailbox,
                str(one.uid),
                render_time(one.expunged_at_s),
                render_time(one.received_at_s),
                str(one.size_bytes),
                one.subject,
            )
            for one in found
        ],
    )


def show_restored(found: Sequence[Expunged], restored: Sequence[Restored]) -> None:
    """What came back, and where it is."""
    by_id = {one.expunged_id: one for one in found}
    table(
        ("mailbox", "UID", "had been", "subject"),
        [
            (
                one.mailbox,
                str(one.uid),
                f"{by_id[one.expunged_id].mailbox} {by_id[one.expunged_id].uid}",
                by_id[one.expunged_id].subject,
            )
            for one in restored
        ],
    )


def render_time(at_s: int) -> str:
    """UTC, to the minute."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%MZ")
