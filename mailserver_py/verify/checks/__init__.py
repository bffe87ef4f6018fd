"""The menu of checks, in the order in which a reader should read what they found: DNS first, since much else follows.

To add a check: a leaf here that owns its noun, with a `CHECK`; its row below; its test.
"""

from __future__ import annotations

from . import host, listeners, login, records, relay, reverse, roundtrip, stranger

CHECKS = (
    records.CHECK,
    reverse.CHECK,
    listeners.CHECK,
    login.CHECK,
    relay.CHECK,
    roundtrip.CHECK,
    stranger.CHECK,
    host.CHECK,
)
