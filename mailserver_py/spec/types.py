"""The scalar types of the spec: parsed from what people write, kept in base units.

A size or a duration without a unit is refused, because `limit: 25` reads as megabytes to one person and as
octets to the next. Domains are kept as lower-case A-labels (RFC 5890 §2.3.2.1) without a final dot, addresses
in their form for comparing, so that everything behind the spec can compare with `==`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import idna
from pydantic import AfterValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from ..message.address import Address, AddressError, parse_address

SIZE_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40} | {
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
}
"""Binary units first: a size is written back with the largest one that divides it."""

DURATION_UNITS = {"d": 86_400, "h": 3_600, "min": 60, "s": 1, "w": 7 * 86_400}
"""Largest exact one first, weeks last: "14d" is what people expect to read back."""

_DURATION_WORDS = {
    word: DURATION_UNITS[unit]
    for unit, words in {
        "s": "s sec secs second seconds",
        "min": "min mins minute minutes m",
        "h": "h hr hour hours",
        "d": "d day days",
        "w": "w week weeks",
    }.items()
    for word in words.split()
}
_SIZE_WORDS = {unit.lower(): octets for unit, octets in SIZE_UNITS.items()} | {"byte": 1, "bytes": 1}

_QUANTITY = re.compile(r"\s*([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([A-Za-z]*)\s*")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def _parse_quantity(value: object, words: dict[str, int], *, example: str) -> int:
    match = _QUANTITY.fullmatch(str(value))
    if match is None:
        raise ValueError(f"{value!r} is not a number with a unit, such as {example}")
    number, unit = match.groups()
    if not unit:
        raise ValueError(f"{value} has no unit; write what you mean, such as {example}")
    factor = words.get(unit.lower())
    if factor is None:
        raise ValueError(f"{unit!r} is no unit here; known are {', '.join(sorted(words))}")
    exact = float(number) * factor if "." in number else int(number) * factor
    if exact != int(exact):
        raise ValueError(f"{value!r} is not a whole number of base units")
    return int(exact)


class _Quantity(int):
    """An int in base units that reads and writes text with a unit.

    `str()` stays the number's, because it ends up in protocol lines such as `SIZE 26214400`.
    """

    @classmethod
    def parse(cls, value: object) -> _Quantity:
        raise NotImplementedError

    def render(self) -> str:
        raise NotImplementedError

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse,
            serialization=core_schema.plain_serializer_function_ser_schema(cls.render, when_used="json"),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*[A-Za-z]+\s*$"}


class Size(_Quantity):
    """Octets, written as `25 MiB` or `5 GB`."""

    @classmethod
    def parse(cls, value: object) -> Size:
        """Reads `25 MiB`; raises ValueError for a bare number. A Size stays itself."""
        return (
            value if isinstance(value, Size) else cls(_parse_quantity(value, _SIZE_WORDS, example="25 MiB"))
        )

    def render(self) -> str:
        """The shortest exact text that `parse` reads back."""
        for unit in ("TiB", "GiB", "MiB", "KiB", "TB", "GB", "MB", "kB"):
            if self and int(self) % SIZE_UNITS[unit] == 0:
                return f"{int(self) // SIZE_UNITS[unit]} {unit}"
        return f"{int(self)} B"


class Duration(_Quantity):
    """Seconds, written as `5d`, `15 min` or `1h`."""

    @classmethod
    def parse(cls, value: object) -> Duration:
        """Reads `15 min`; raises ValueError for a bare number. A Duration stays itself."""
        if isinstance(value, Duration):
            return value
        return cls(_parse_quantity(value, _DURATION_WORDS, example="15 min"))

    def render(self) -> str:
        """The shortest exact text that `parse` reads back."""
        for unit, seconds in DURATION_UNITS.items():
            if self and int(self) % seconds == 0:
                return f"{int(self) // seconds}{unit}"
        return f"{int(self)}s"


def parse_domain(text: str) -> str:
    """The domain as lower-case A-labels without a final dot.

    Raises ValueError for what is no host name of two labels or more (RFC 1123 §2.1, RFC 5891 §4).
    """
    plain = text.strip().rstrip(".")
    if not plain:
        raise ValueError("a domain name is meant, this is empty")
    try:
        name = (
            plain.lower() if plain.isascii() else idna.encode(plain, uts46=True, transitional=False).decode()
        )
    except idna.IDNAError as refusal:
        raise ValueError(f"{text!r} is no domain name: {refusal}") from None
    labels = name.split(".")
    if len(name) > 253:
        raise ValueError(f"{text!r} is longer than the 253 octets of a domain name")
    for label in labels:
        if not _LABEL.fullmatch(label):
            raise ValueError(
                f"{text!r} is no domain name: {label!r} is no label (letters, digits, inner hyphens)"
            )
        if label.startswith("xn--"):
            _check_a_label(text, label)
    if len(labels) < 2:
        raise ValueError(f"{text!r} has one label only; a public name such as 'example.org' is meant")
    if labels[-1].isdigit():
        raise ValueError(f"{text!r} is an IP address or ends in a number; a domain name is meant")
    return name


def _check_a_label(text: str, label: str) -> None:
    try:
        idna.decode(label)
    except idna.IDNAError as refusal:
        raise ValueError(f"{text!r} is no domain name: {label!r}: {refusal}") from None


def parse_mail_address(text: str) -> str:
    """The address in its form for comparing: lower case, NFC, A-labels. Raises ValueError."""
    try:
        address = parse_address(text.strip())
    except AddressError as refusal:
        raise ValueError(f"{text!r} is no mail address: {refusal}; 'name@example.org' is meant") from None
    local = Address(address.local, "x").key.rpartition("@")[0]
    return f"{local}@{parse_domain(address.domain)}"


DomainName = Annotated[
    str,
    AfterValidator(parse_domain),
    WithJsonSchema({"type": "string", "format": "hostname", "examples": ["example.org"]}),
]
"""Lower-case A-labels, no final dot."""

MailAddress = Annotated[
    str,
    AfterValidator(parse_mail_address),
    WithJsonSchema({"type": "string", "format": "email", "examples": ["alice@example.org"]}),
]
"""`local@domain` in its form for comparing."""
