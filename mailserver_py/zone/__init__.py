"""Which DNS records does the wish imply? Values of dnspython, compared as values, never as text.

Invariants:
- Pure: no lookup, no clock. Reading and changing the live DNS is `net.nameserver`'s.
- Only what the wish names, and what a former wish named and published, is ever changed.
- A plan is a value: it prints, serialises, and says itself when it is suspiciously large.

To add a kind of record: a leaf in `records/`. To add a way of writing a zone: a function in `text`.
"""

from __future__ import annotations

from dataclasses import replace

from ..spec.model import MailSpec
from ..spec.settings import PublicKeys
from .records import MENU, WantedRecord


def render(spec: MailSpec, public_keys: PublicKeys) -> tuple[WantedRecord, ...]:
    """Every record set of the site, in the menu's order."""
    return tuple(
        replace(record, kind=leaf.__module__.rpartition(".")[2])
        for leaf in MENU
        for record in leaf(spec, public_keys)
    )


__all__ = ["WantedRecord", "render"]
