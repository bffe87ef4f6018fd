"""The texts of `templates/`, filled in. A name that a template uses and nobody gave is an error, not a gap."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

CHECKOUT = Path(__file__).resolve().parents[2]


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(CHECKOUT / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 unit files and rule sets are no HTML
    )


def render_text(template: str, **values: object) -> bytes:
    """The text of a template, named by its destination on the host without the leading slash."""
    return _environment().get_template(template).render(**values).encode()
