"""The scalar types of the spec: parsed from what people write, kept in base units."""

from __future__ import annotations

from typing import Annotated

# Contract sketch: Size and Duration are int subclasses holding bytes and seconds; both parse "25 MiB", "5d" and refuse
# bare numbers without a unit; DomainName and MailAddress are normalised str.
DomainName = Annotated[str, "lower-case A-label domain"]
MailAddress = Annotated[str, "normalised local@domain"]


class Size(int):
    """Octets."""


class Duration(int):
    """Seconds."""
