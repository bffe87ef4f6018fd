"""One account as a tar that is written in one go: Maildir++ folders, an index, settings, log lines.

`Maildir/` is what Dovecot, Courier, mutt and Python's `mailbox` read: INBOX at the top, `.Sent`, `.Archive.2024`, flags
in the files' names, INTERNALDATE as the files' time. `index.json` has what Maildir has no place for. `expunged/` is a
Maildir beside it, so that restoring does not bring back what was removed.

Memory: one mailbox's list of messages and about a megabyte of letters.
"""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from ..imap.names import serialize_utf7
from ..mailstore.values import INBOX, SEPARATOR, Flag

if TYPE_CHECKING:
    from ..mailstore.keeping import Expunged
    from ..mailstore.port import Account, Keeping
    from ..mailstore.values import Mailbox, Message

LETTERS = (
    (Flag.DRAFT, "D"),
    (Flag.FLAGGED, "F"),
    (Flag.ANSWERED, "R"),
    (Flag.SEEN, "S"),
    (Flag.DELETED, "T"),
)
"""Maildir's letters, in ASCII order as it wants them."""

SLICE_COUNT = 1000
"""UIDs asked for at a time."""

SPOOL_BYTES = 1 << 20
"""An index grows in memory so far, then in a file without a name."""

README = """All data of one mail account.

Maildir/       the letters, in Maildir++ (Dovecot, Courier, mutt, mbsync, Python's mailbox): flags in the
               files' names, the date of arrival as the files' time
expunged/      removed letters that were still kept
index.json     mailboxes, subscriptions, and for each letter its flags, keywords, dates and SHA-256
settings.json  what the site says about the account
log.jsonl      the server's log about it, one JSON object in each line
"""


@dataclass(slots=True)
class Written:
    """What went into the archive."""

    mailbox_count: int = 0
    message_count: int = 0
    expunged_count: int = 0
    size_bytes: int = 0
    log_count: int = 0
    damaged: list[str] = field(default_factory=list)
    """Letters that are missing or damaged in the store."""


class Archive:
    """A tar being written; all entries belong to nobody and are their reader's alone."""

    def __init__(self, tar: tarfile.TarFile, now_s: int) -> None:
        self.tar = tar
        self.now_s = now_s
        self.written = Written()

    def add(self, name: str, data: bytes, at_s: int | None = None) -> None:
        """One file."""
        self.add_stream(name, io.BytesIO(data), len(data), at_s)

    def add_stream(self, name: str, stream: IO[bytes], size_bytes: int, at_s: int | None = None) -> None:
        """One file from a stream."""
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode, entry.mtime = size_bytes, 0o600, self.now_s if at_s is None else at_s
        self.tar.addfile(entry, stream)

    def add_folder(self, name: str) -> None:
        """A Maildir, empty."""
        for part in ("", "cur", "new", "tmp"):
            entry = tarfile.TarInfo(f"{name}/{part}".rstrip("/"))
            entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, 0o700, self.now_s
            self.tar.addfile(entry)
        if name != "Maildir":
            self.add(f"{name}/maildirfolder", b"")


def folder_of(mailbox: str) -> str:
    """Where a mailbox lies: `Maildir` or `Maildir/.a.b`, in modified UTF-7 as Dovecot has it. Dots inside a name are
    the separator there, and are shifted too: no name leaves the folder."""
    if mailbox == INBOX:
        return "Maildir"
    levels = (serialize_utf7(level).decode().replace(".", "&AC4-") for level in mailbox.split(SEPARATOR))
    return "Maildir/." + ".".join(levels)


def file_of(folder: str, unique: str, received_at_s: int, size_bytes: int, flags: int) -> str:
    """A letter's file in a Maildir."""
    letters = "".join(letter for flag, letter in LETTERS if flags & flag)
    return f"{folder}/cur/{received_at_s}.{unique}.mailserver,S={size_bytes}:2,{letters}"


class Index:
    """`index.json`, written piece by piece."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.file.write(b"{")
        self.comma = b""

    def put(self, key: str, value: object) -> None:
        """A key of the outermost object."""
        self.file.write(self.comma + f"{dump(key)}: {dump(value)}".encode())
        self.comma = b",\n"

    def open_list(self, key: str) -> None:
        """A list, to be filled by `add`."""
        self.file.write(self.comma + f"{dump(key)}: [".encode())
        self.comma = b"\n"

    def add(self, value: object) -> None:
        """One item of the open list."""
        self.file.write(self.comma + dump(value).encode())
        self.comma = b",\n"

    def close_list(self) -> None:
        """Ends it."""
        self.file.write(b"]")
        self.comma = b",\n"

    def write_to(self, archive: Archive) -> None:
        """Ends the object and puts it into the archive."""
        self.file.write(b"}\n")
        size_bytes = self.file.tell()
        self.file.seek(0)
        archive.add_stream("index.json", self.file, size_bytes)


def dump(value: object) -> str:
    """JSON as people read it."""
    return json.dumps(value, ensure_ascii=False)


async def write_mail(archive: Archive, name: str, account: Account, keeping: Keeping) -> None:
    """All letters and the index."""
    with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as file:
        index = Index(file)
        boxes = await account.list_mailboxes()
        index.put("account", name)
        index.put("exported_at_s", archive.now_s)
        index.put("subscriptions", list(await account.list_subscriptions()))
        index.put("mailboxes", [mailbox_row(box) for box in boxes])
        index.open_list("messages")
        for box in boxes:
            await write_mailbox(archive, index, account, box)
        index.close_list()
        index.open_list("expunged")
        await write_expunged(archive, index, keeping)
        index.close_list()
        index.write_to(archive)


def mailbox_row(box: Mailbox) -> dict[str, object]:
    """A mailbox in the index."""
    return {
        "name": box.name,
        "folder": folder_of(box.name),
        "uid_validity": box.uid_validity,
        "uid_next": box.uid_next,
        "subscribed": box.subscribed,
        "special_use": box.special_use,
    }


async def write_mailbox(archive: Archive, index: Index, account: Account, box: Mailbox) -> None:
    """One mailbox's letters, by UID."""
    folder = folder_of(box.name)
    archive.add_folder(folder)
    archive.written.mailbox_count += 1
    messages = {message.uid: message for message in await account.messages(box.mailbox_id)}
    uids = list(messages)
    for first in range(0, len(uids), SLICE_COUNT):
        async for chunk in account.letters(box.mailbox_id, uids[first : first + SLICE_COUNT]):
            for uid, letter in chunk:
                message = messages[uid]
                unique = f"M{box.mailbox_id}U{uid}"
                file = file_of(folder, unique, message.received_at_s, message.size_bytes, message.flags)
                archive.written.message_count += 1
                index.add(put_letter(archive, file, letter, message, box.name))


async def write_expunged(archive: Archive, index: Index, keeping: Keeping) -> None:
    """Removed letters that are still kept."""
    by_id = {one.expunged_id: one for one in await keeping.list_expunged()}
    if by_id:
        archive.add_folder("expunged")
    ids = list(by_id)
    for first in range(0, len(ids), SLICE_COUNT):
        async for chunk in keeping.expunged_letters(ids[first : first + SLICE_COUNT]):
            for expunged_id, letter in chunk:
                one = by_id[expunged_id]
                file = file_of("expunged", f"X{expunged_id}", one.received_at_s, one.size_bytes, one.flags)
                archive.written.expunged_count += 1
                row = put_letter(archive, file, letter, one, one.mailbox)
                index.add(row | {"expunged_at_s": one.expunged_at_s})


def put_letter(
    archive: Archive, file: str, letter: bytes | None, about: Message | Expunged, mailbox: str
) -> dict[str, object]:
    """Puts one letter into the archive; its line of the index."""
    row: dict[str, object] = {
        "mailbox": mailbox,
        "uid": about.uid,
        "flags": [f"\\{flag.name.capitalize()}" for flag in Flag if about.flags & flag and flag.name],
        "keywords": about.keywords.split(),
        "received_at_s": about.received_at_s,
        "size_bytes": about.size_bytes,
        "sha256": about.sha256,
    }
    if letter is None:
        archive.written.damaged.append(f"{mailbox} UID {about.uid} (letter {about.sha256})")
        row["damaged"] = True
    else:
        archive.add(file, letter, about.received_at_s)
        archive.written.size_bytes += len(letter)
        row["file"] = file
    return row


def write_log(archive: Archive, events: Iterable[Mapping[str, object]], spool: IO[bytes]) -> None:
    """The events as lines."""
    for event in events:
        spool.write(dump(event).encode() + b"\n")
        archive.written.log_count += 1
    size_bytes = spool.tell()
    spool.seek(0)
    archive.add_stream("log.jsonl", spool, size_bytes)
