"""PLAIN: RFC 4616. One message: [authzid] NUL authcid NUL passwd."""

from __future__ import annotations

from .shape import Challenge, Credentials, Refusal, Refused, Step, Telling, decode_text

NAME = "PLAIN"


class Plain(Telling):
    """One exchange."""

    def step(self, data: bytes | None) -> Step:
        """An empty challenge when the client sent no initial response (RFC 4422 §5.1), else the end."""
        if data is None:
            return Challenge()
        fields = data.split(b"\0")
        if len(fields) != 3:
            return Refused(Refusal.MALFORMED)
        acting_as, user, password = (decode_text(item) for item in fields)
        if acting_as is None or not user or not password:
            return Refused(Refusal.MALFORMED)
        return Credentials(NAME, user, password, "" if acting_as == user else acting_as)


def plain_response(user: str, password: str, acting_as: str = "") -> bytes:
    """The client's one message, not encoded. Raises ValueError for a NUL or an empty name or password."""
    if not user or not password or "\0" in user + password + acting_as:
        raise ValueError("name and password must not be empty nor contain NUL")
    return f"{acting_as}\0{user}\0{password}".encode()
