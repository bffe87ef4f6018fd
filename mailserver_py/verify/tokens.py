"""Tokens that mark test letters: unguessable, so that nobody's letter is taken for ours and removed."""

from __future__ import annotations

import secrets


def new_token() -> str:
    """`mv` and 24 characters of [0-9a-f]."""
    return "mv" + secrets.token_hex(12)
