"""The configuration texts of the lab's own servers, in `files/`, filled in by Jinja."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


@cache
def _environment() -> Environment:
    return Environment(  # noqa: S701 these are server configurations, not pages
        loader=FileSystemLoader(Path(__file__).with_name("files")),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def source(name: str) -> str:
    """One of the programs that run on a host of the lab, as it is."""
    return Path(__file__).with_name("files").joinpath(name).read_text()


def render(name: str, **values: object) -> str:
    """One of the texts, whole; a value that is missing is a bug and raises."""
    return _environment().get_template(name).render(**values)
