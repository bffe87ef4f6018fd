"""Mailbox names as the store keeps them (RFC 9051 §5.1): Unicode in NFC, levels joined by `/`, INBOX in any case.

Names never become paths, so `..` is a name like any other; what is refused here would only confuse people and clients.
"""

from __future__ import annotations

import unicodedata

from .values import INBOX, SEPARATOR, BadMailboxName

NAME_LIMIT_BYTES = 1000
"""In UTF-8. Clients and protocols quote names whole; Dovecot and Cyrus stop near the same place."""

DEPTH_LIMIT_COUNT = 32
"""Levels. Deeper trees are mistakes (a rename into itself by a script), and each level is a row when created."""

FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Control characters, surrogates, private and unassigned code points, line and paragraph separators: RFC 5198 §2
forbids them in interchange (Net-Unicode, which RFC 9051 §5.1 names)."""

USUAL_MAILBOXES = (
    (INBOX, ""),
    ("Archive", "\\Archive"),
    ("Drafts", "\\Drafts"),
    ("Junk", "\\Junk"),
    ("Sent", "\\Sent"),
    ("Trash", "\\Trash"),
)
"""What a new account has: the inbox and the special uses of RFC 6154 that each client otherwise invents its own way."""


def parse_mailbox_name(name: str) -> str:
    """The name in its one normal form. Raises BadMailboxName with the reason."""
    normal = unicodedata.normalize("NFC", name)
    if not normal:
        raise BadMailboxName("the name is empty")
    for character in normal:
        if unicodedata.category(character) in FORBIDDEN_CATEGORIES:
            raise BadMailboxName(f"U+{ord(character):04X} cannot stand in a mailbox name")
    if len(normal.encode()) > NAME_LIMIT_BYTES:
        raise BadMailboxName(f"longer than {NAME_LIMIT_BYTES} octets")
    levels = normal.split(SEPARATOR)
    if not all(levels):
        raise BadMailboxName("a level of the name is empty")
    if len(levels) > DEPTH_LIMIT_COUNT:
        raise BadMailboxName(f"deeper than {DEPTH_LIMIT_COUNT} levels")
    if any(level != level.strip() for level in levels):
        raise BadMailboxName("a level of the name begins or ends with a space")
    if levels[0].upper() == INBOX:
        levels[0] = INBOX
    return SEPARATOR.join(levels)


def levels_above(name: str) -> list[str]:
    """The names of the levels above, outermost first: `a/b/c` → `a`, `a/b`."""
    levels = name.split(SEPARATOR)
    return [SEPARATOR.join(levels[:count]) for count in range(1, len(levels))]
