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


def serialize_quota(usage: Usage) -> bytes:
    """The QUOTA response; used space rounds up, the limit down, so that a full account looks full."""
    return b'* QUOTA "" (STORAGE %d %d)\r\n' % (
        -(-usage.size_bytes // UNIT_BYTES),
        usage.quota_bytes // UNIT_BYTES,
    )


async def _get_quota(session: Session, root: bytes) -> Reply:
    usage = await session.owner().usage()
    if root or not usage.quota_bytes:
        raise no(b"There is no such quota root", b"NONEXISTENT")
    await session.send(serialize_quota(usage))
    return ok(b"GETQUOTA completed")


async def _get_quota_root(session: Session, name: str) -> Reply:
    account = session.owner()
    await account.mailbox(name)
    usage = await account.usage()
    root = b' ""' if usage.quota_bytes else b""
    await session.send(b"* QUOTAROOT %b%b\r\n" % (serialize_mailbox(name, utf8=session.utf8), root))
    if usage.quota_bytes:
        await session.send(serialize_quota(usage))
    return ok(b"GETQUOTAROOT completed")


GETQUOTA = Command(b"GETQUOTA", LOGGED_IN, _parse_root, _get_quota, capabilities=(b"QUOTA",))
GETQUOTAROOT = Command(b"GETQUOTAROOT", LOGGED_IN, parse_name, _get_quota_root)
