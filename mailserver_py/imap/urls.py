"""IMAP URLs of messages and their parts: RFC 5092 §11, relative to the account (RFC 4469 §3); PARTIAL: RFC 5550."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from ..mailstore.port import Account
from ..mailstore.values import INBOX, Mailbox, NoSuchMailbox
from .cursor import Cursor
from .replies import Refused
from .sections import Section, extract, parse_section, slice_partial
from .sequence import MAX_NUMBER

_URL = re.compile(
    rb"(?:/?(?P<mailbox>[^;?#]*?))?(?:;UIDVALIDITY=(?P<validity>[1-9][0-9]{0,9}))?"
    rb"/?;UID=(?P<uid>[1-9][0-9]{0,9})"
    rb"(?:/?;SECTION=(?P<section>[^;?#]+?))?"
    rb"(?:/?;PARTIAL=(?P<origin>[0-9]{1,10})(?:\.(?P<length>[1-9][0-9]{0,9}))?)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class MessageUrl:
    """A message, or a part of it."""

    mailbox: str
    """Empty: the selected one."""
    uid_validity: int
    """0: none was named."""
    uid: int
    section: Section


def parse_url(raw: bytes) -> MessageUrl | None:
    """A relative URL of a message; None when it is none, or a broken one."""
    match = _URL.fullmatch(raw)
    if match is None:
        return None
    try:
        mailbox = unquote_to_bytes(match["mailbox"] or b"").decode("utf-8").rstrip("/")
    except UnicodeError:
        return None
    if not mailbox and raw.startswith(b"/") and not raw.startswith(b"/;"):
        return None
    section = Section()
    if match["section"]:
        cursor = Cursor(b"[" + unquote_to_bytes(match["section"]) + b"]")
        try:
            section = parse_section(cursor, partial=False)
            cursor.end()
        except Refused:
            return None
    if match["origin"]:
        length = int(match["length"]) if match["length"] else MAX_NUMBER
        section = Section(section.path, section.text, section.fields, int(match["origin"]), length)
    if mailbox.upper() == INBOX:
        mailbox = INBOX
    return MessageUrl(mailbox, int(match["validity"] or 0), int(match["uid"]), section)


async def fetch_url(account: Account, url: MessageUrl, selected: Mailbox | None) -> bytes | None:
    """The octets that a URL names; None when there are none such."""
    try:
        mailbox = await account.mailbox(url.mailbox) if url.mailbox else selected
    except NoSuchMailbox:
        return None
    if mailbox is None or (url.uid_validity and url.uid_validity != mailbox.uid_validity):
        return None
    rows = await account.digests(mailbox.mailbox_id, [url.uid], ("header_bytes", "parts"))
    async for chunk in account.letters(mailbox.mailbox_id, [url.uid]):
        for _, letter in chunk:
            if letter is None or not rows:
                return None
            _, header_bytes, parts = rows[0]
            assert isinstance(header_bytes, int) and isinstance(parts, bytes)
            data = extract(letter, header_bytes, parts, url.section)
            return None if data is None else slice_partial(data, url.section)
    return None
