"""`mailserver erase ACCOUNT --yes`: removes every byte of an account that the spec no longer has, on the mail host.

What GDPR Article 17 calls erasure. The receipt names the account by a hash only, so that it can be kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import OperatorError, Reason, WorldError
from .host_store import as_owner, no_account, opened, settings_option, state_option
from .output import summary

if TYPE_CHECKING:
    from ..mailstore.keeping import Erasure
    from ..spec.settings import HostSettings

RECEIPTS = "receipts"
"""Folder beside the store."""


@click.command("erase")
@click.argument("account")
@click.option("--yes", is_flag=True, help="There is no way back, and no question.")
@settings_option
@state_option
@click.option("--json", "as_json", is_flag=True, help="The receipt as JSON on stdout.")
def command(*, account: str, yes: bool, settings: Path, state: Path, as_json: bool) -> None:
    """Remove ACCOUNT from the store for good: mailboxes, letters that nobody else has, its rows in the queue.

    Refused while the spec has the account, or while it is under legal hold: take it out of mail.yaml and deploy first.
    Cut short, run it again. The receipt says what went, and what stays elsewhere until when.
    """
    from ..daemon.options import load_settings

    host = load_settings(settings)
    if account in host.accounts:
        cure = "remove it from mail.yaml and deploy; export it before if its owner wants it"
        raise OperatorError(Reason(f"the spec still has {account}", cure, str(settings)))
    if not yes:
        raise OperatorError(Reason("erasing cannot be undone", "say --yes when you are certain"))
    with as_owner(state):
        place, receipt = asyncio.run(run(state, host, account))
    if as_json:
        click.echo(json.dumps(receipt, indent=2, ensure_ascii=False))
        return
    rows = [(name, str(value)) for name, value in receipt.items() if not isinstance(value, list)]
    stays = receipt["stays"]
    assert isinstance(stays, list)
    rows += [("stays", f"{one['what']}: until {one['until'] or one['why']}") for one in stays]
    summary(f"{account} is erased; the receipt is {place}", rows)


async def run(state: Path, host: HostSettings, name: str) -> tuple[Path, dict[str, object]]:
    """Erases, and writes the receipt; its place and what it says. Raises OperatorError, WorldError."""
    from ..daemon.maintenance import NOTES_FILE, read_notes, write_notes
    from ..mailstore.values import AccountHeld, NoSuchAccount, StoreUnavailable

    written: list[tuple[Path, dict[str, object]]] = []

    def attest(erasure: Erasure) -> None:
        receipt = make_receipt(name, erasure, host, datetime.now(UTC))
        written.append((write_receipt(state, receipt), receipt))

    notes = read_notes(state / NOTES_FILE)
    left = {key: days for key, days in notes.items() if not key.startswith(f"{name}/")}
    if left != notes:
        write_notes(state / NOTES_FILE, left)
    async with opened(state) as store:
        try:
            await store.erase(name, attest)
        except NoSuchAccount:
            raise no_account(name) from None
        except AccountHeld as error:
            cure = "put it back into mail.yaml with `hold: false`, deploy, take it out, deploy, and erase"
            raise OperatorError(Reason(str(error), cure)) from error
        except StoreUnavailable as error:
            raise WorldError(
                f"{error}; the server lets go within minutes, or at `systemctl restart`"
            ) from error
    return written[0]


def make_receipt(name: str, erasure: Erasure, host: HostSettings, now: datetime) -> dict[str, object]:
    """What was erased, and what of it stays elsewhere."""
    stays: list[dict[str, object]] = [
        {
            "what": "lines in the host's journal",
            "until": render_at(now + timedelta(seconds=int(host.retention.logs))),
            "why": "retention.logs",
        },
        {
            "what": "backups made before",
            "until": None,
            "why": "your backups end by their own rule; restoring one brings the account back: erase it again",
        },
    ]
    if erasure.returned_count:
        stays.append(
            {
                "what": f"{erasure.returned_count} letters to the account, on their way back to their senders",
                "until": render_at(now + timedelta(seconds=int(host.queue.give_up))),
                "why": "queue.give_up",
            }
        )
    return {
        "account_sha256": hashlib.sha256(name.encode()).hexdigest(),
        "erased_at": render_at(now),
        "mailboxes": erasure.mailbox_count,
        "messages": erasure.message_count,
        "expunged_messages": erasure.expunged_count,
        "letters": erasure.letter_count,
        "size_bytes": erasure.size_bytes,
        "files_removed": erasure.removed_count,
        "files_that_others_have_too": erasure.shared_count,
        "queue_letters_dropped": erasure.dropped_count,
        "queue_recipients_returned": erasure.returned_count,
        "leftovers_found": 0,
        "stays": stays,
    }


def write_receipt(state: Path, receipt: dict[str, object]) -> Path:
    """Durably, beside the store."""
    folder = state / RECEIPTS
    folder.mkdir(mode=0o700, exist_ok=True)
    at = str(receipt["erased_at"]).replace(":", "")
    place = folder / f"erased-{at}-{str(receipt['account_sha256'])[:12]}.json"
    with place.open("w", encoding="utf-8") as file:
        json.dump(receipt, file, indent=2, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    for parent in (folder, state):
        handle = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    return place


def render_at(at: datetime) -> str:
    """UTC, to the second."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
