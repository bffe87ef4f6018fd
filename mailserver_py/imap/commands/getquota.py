"""GETQUOTA and GETQUOTAROOT: RFC 9208 §4.1 (RFC 2087). One root, named "", for the whole account.

SETQUOTA is not here: a quota is the operator's wish, in the spec (RFC 9208 §4.1.3 makes it QUOTASET's).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...mailstore.values import Usage
from ..cursor import Cursor
from ..names import serialize_mailbox
from ..replies import Reply, no, ok
from .shape import LOGGED_IN, Command
from .subscribe import parse_name

if TYPE_CHECKING:
    from ..session import Session

UNIT_BYTES = 1024
"""STORAGE counts in these (RFC 9208 §5.1)."""


def _parse_root(cursor: Cursor) -> bytes:
    cursor.space()
    root = cursor.astring()
    cursor.end()
    return root


def list_resources(usage: Usage) -> list[bytes]:
    """The resources that are limited: name, use, limit (RFC 9208 §5). Used space rounds up, the limit down, so that a
    full account looks full."""
    rows = (
        (b"STORAGE", -(-usage.size_bytes // UNIT_BYTES), usage.quota_bytes // UNIT_BYTES),
        (b"MESSAGE", usage.message_count, usage.message_limit_count),
        (b"MAILBOX", usage.mailbox_count, usage.mailbox_limit_count),
    )
    return [b"%b %d %d" % row for row in rows if row[2]]


async def _get_quota(session: Session, root: bytes) -> Reply:
    resources = list_resources(await session.owner().usage())
    if root or not resources:
        raise no(b"There is no such quota root", b"NONEXISTENT")
    await session.send(b'* QUOTA "" (%b)\r\n' % b" ".join(resources))
    return ok(b"GETQUOTA completed")


async def _get_quota_root(session: Session, name: str) -> Reply:
    account = session.owner()
    await account.mailbox(name)
    resources = list_resources(await account.usage())
    root = b' ""' if resources else b""
    await session.send(b"* QUOTAROOT %b%b\r\n" % (serialize_mailbox(name, utf8=session.utf8), root))
    if resources:
        await session.send(b'* QUOTA "" (%b)\r\n' % b" ".join(resources))
    return ok(b"GETQUOTAROOT completed")


GETQUOTA = Command(
    b"GETQUOTA",
    LOGGED_IN,
    _parse_root,
    _get_quota,
    capabilities=(b"QUOTA", b"QUOTA=RES-STORAGE", b"QUOTA=RES-MESSAGE", b"QUOTA=RES-MAILBOX"),
)
GETQUOTAROOT = Command(b"GETQUOTAROOT", LOGGED_IN, parse_name, _get_quota_root)
