"""Faults to plant in a store: each campaign must find the ones it is for. They run in a forked child only."""

from __future__ import annotations

from collections.abc import Sequence
from sqlite3 import Connection

from mailserver_py.mailstore.embedded import account_changes, files, schema, transaction
from mailserver_py.mailstore.embedded.account_changes import Incoming
from mailserver_py.mailstore.values import QueuedRecipient


def sync_less() -> None:
    """SQLite's NORMAL: many take it for safe in WAL mode."""
    schema.SYNCHRONOUS = "NORMAL"


def sync_no_files() -> None:
    """Letters reach the disk some time."""
    vars(files)["sync_file"] = nothing


def sync_no_folders() -> None:
    """Their names do."""
    vars(files)["sync_folder"] = nothing


def forget_deliveries() -> None:
    """Delivers again what was delivered."""
    vars(account_changes)["deliver"] = deliver_always


def leave_refused_commits() -> None:
    """A commit whose sync failed stays in the log, for the next process to find."""
    vars(transaction)["overwrite_refused"] = nothing


def nothing(_: object) -> None:
    """Instead of a sync."""


def deliver_always(
    db: Connection, recipients: Sequence[QueuedRecipient], letter: Incoming, _: int
) -> set[int]:
    """Delivery without the numbers of those who have their copy."""
    ids = {account_changes.find_or_inbox(db, recipient.mailbox) for recipient in recipients}
    for mailbox_id in ids:
        account_changes.add_messages(db, mailbox_id, [letter])
    return ids
