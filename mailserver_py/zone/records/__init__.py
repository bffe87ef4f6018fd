"""The records of a mail site, one leaf per kind.

Invariants:
- A leaf is pure: the same wish and keys give the same records in the same order.
- Every record says why it exists.
- No two leaves yield the same owner and type.

To add a kind: its leaf with `records(spec, keys)`, its test, and its place in the menu below.
"""

from . import address, dkim, dmarc, mx, ptr, spf, srv
from .shape import Leaf, WantedRecord

MENU: tuple[Leaf, ...] = (
    address.records,
    mx.records,
    spf.records,
    dkim.records,
    dmarc.records,
    srv.records,
    ptr.records,
)
"""In the order in which a reader understands a zone: hosts, mail in, proofs, clients, what others must do."""

__all__ = ["MENU", "Leaf", "WantedRecord"]
