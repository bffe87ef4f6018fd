"""LOGIN: the old two-question mechanism (draft-murchison-sasl-login-00 §2), for clients that know no other.

An initial response is taken as the user name, as such clients mean it.
"""

from __future__ import annotations

from .shape import Challenge, Credentials, Refusal, Refused, Step, Telling, decode_text

NAME = "LOGIN"

_USER = Challenge(b"User Name\0")
_PASSWORD = Challenge(b"Password\0")


class Login(Telling):
    """One exchange."""

    def __init__(self) -> None:
        self._user: str | None = None

    def step(self, data: bytes | None) -> Step:
        """User name, then password."""
        if data is None:
            return _USER
        # Some clients end what they say with a NUL, as the draft's challenges do.
        text = decode_text(data.removesuffix(b"\0"))
        if not text:
            return Refused(Refusal.MALFORMED)
        if self._user is None:
            self._user = text
            return _PASSWORD
        return Credentials(NAME, self._user, text)
