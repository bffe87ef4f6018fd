"""The extension table: what EHLO offers, when, and which parameters it allows on MAIL and RCPT (RFC 5321
§2.2).

One row is one extension. The EHLO reply, the allowed parameters, the verbs that may be used and the length of
a command line all derive from here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from . import replies
from .replies import Reply


class Role(Enum):
    """What a listener is for."""

    MX = "mx"
    """Port 25: mail from the world, for us."""
    SUBMISSION = "submission"
    """Ports 465 and 587: mail from our users, for anybody (RFC 6409)."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What decides which extensions are offered at this moment of a session."""

    role: Role
    tls_active: bool
    tls_available: bool
    authenticated: bool
    letter_limit_bytes: int
    mechanisms: tuple[str, ...] = ()
    """Of SASL, the preferred first."""


class BadParameterError(Exception):
    """A parameter's value is refused; carries the reply."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.render())
        self.reply = reply


ParameterValue = str | int | bool
ParseParameter = Callable[[str | None, Offer], ParameterValue]


@dataclass(frozen=True, slots=True)
class Extension:
    """One row."""

    keyword: str
    offered: Callable[[Offer], bool]
    arguments: Callable[[Offer], str] = lambda _: ""
    verbs: tuple[str, ...] = ()
    mail_parameters: Mapping[str, ParseParameter] = field(default_factory=dict)
    rcpt_parameters: Mapping[str, ParseParameter] = field(default_factory=dict)
    command_bytes: int = 0
    """By how much it lengthens the longest command line."""


def _always(_: Offer) -> bool:
    return True


def _parse_size(value: str | None, offer: Offer) -> int:
    """RFC 1870 §6: refusing early saves the sender the whole transfer."""
    if value is None or not re.fullmatch(r"[0-9]{1,20}", value, re.ASCII):
        raise BadParameterError(replies.BAD_PARAMETER_VALUE)
    size_bytes = int(value)
    if size_bytes > offer.letter_limit_bytes:
        raise BadParameterError(replies.LETTER_TOO_BIG)
    return size_bytes


def _parse_body(value: str | None, _: Offer) -> str:
    """RFC 6152 §3."""
    if value is None or value.upper() not in ("7BIT", "8BITMIME"):
        raise BadParameterError(replies.BAD_PARAMETER_VALUE)
    return value.upper()


def _parse_bare(value: str | None, _: Offer) -> bool:
    if value is not None:
        raise BadParameterError(replies.BAD_PARAMETER_VALUE)
    return True


def _parse_auth(value: str | None, _: Offer) -> str:
    """RFC 4954 §5: read, and trusted from nobody."""
    if value is None or not re.fullmatch(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+|<>", value, re.ASCII):
        raise BadParameterError(replies.BAD_PARAMETER_VALUE)
    return value


EXTENSIONS: tuple[Extension, ...] = (
    Extension("PIPELINING", _always),  # RFC 2920
    Extension(  # RFC 1870
        "SIZE",
        _always,
        arguments=lambda offer: str(offer.letter_limit_bytes),
        mail_parameters={"SIZE": _parse_size},
        command_bytes=26,
    ),
    Extension(  # RFC 3207
        "STARTTLS", lambda offer: offer.tls_available and not offer.tls_active, verbs=("STARTTLS",)
    ),
    Extension(  # RFC 4954; only under TLS, where the password cannot be read on the way
        "AUTH",
        lambda offer: offer.role is Role.SUBMISSION and offer.tls_active and not offer.authenticated,
        arguments=lambda offer: " ".join(offer.mechanisms),
        verbs=("AUTH",),
        mail_parameters={"AUTH": _parse_auth},
        command_bytes=500,
    ),
    Extension(  # RFC 6152
        "8BITMIME", _always, mail_parameters={"BODY": _parse_body}, command_bytes=17
    ),
    Extension("ENHANCEDSTATUSCODES", _always),  # RFC 2034
    Extension(  # RFC 6531
        "SMTPUTF8", _always, mail_parameters={"SMTPUTF8": _parse_bare}, command_bytes=10
    ),
)
"""In the order of EHLO's lines."""

COMMAND_LINE_BYTES = 510 + sum(extension.command_bytes for extension in EXTENSIONS)
"""Longest command line without its CRLF (RFC 5321 §4.5.3.1.4), extensions included whether offered or not."""

EXTENSION_VERBS: Mapping[str, Extension] = {verb: row for row in EXTENSIONS for verb in row.verbs}
"""Verbs that exist only while their extension is offered."""

_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9\-]*)(?:=([!-<>-~]+))?", re.ASCII)


def offered(offer: Offer) -> tuple[str, ...]:
    """EHLO's lines after the greeting."""
    lines = []
    for row in EXTENSIONS:
        if row.offered(offer):
            arguments = row.arguments(offer)
            lines.append(f"{row.keyword} {arguments}" if arguments else row.keyword)
    return tuple(lines)


def parse_parameters(rest: str, verb: str, offer: Offer) -> dict[str, ParameterValue] | Reply:
    """The parameters after a path: `rest` starts with a space, or is empty.

    An unknown one, and one given twice, is refused (RFC 5321 §4.1.1.11). MAIL's AUTH parameter is taken also
    once the session is authenticated, which is when clients send it.
    """
    values: dict[str, ParameterValue] = {}
    for word in rest.split():
        match = _PARAMETER.fullmatch(word)
        if match is None:
            return replies.BAD_ARGUMENTS
        name = match[1].upper()
        parse = _known_parameter(name, verb, offer)
        if parse is None:
            return replies.UNKNOWN_PARAMETER
        if name in values:
            return replies.BAD_ARGUMENTS
        try:
            values[name] = parse(match[2], offer)
        except BadParameterError as error:
            return error.reply
    return values


def _known_parameter(name: str, verb: str, offer: Offer) -> ParseParameter | None:
    for row in EXTENSIONS:
        table = row.mail_parameters if verb == "MAIL" else row.rcpt_parameters
        if name in table and (row.offered(offer) or (row.keyword == "AUTH" and offer.authenticated)):
            return table[name]
    return None
