"""Tables for people: rich in a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click


def is_terminal() -> bool:
    """Whether a person looks at stdout."""
    return sys.stdout.isatty()


def summary(title: str, rows: Sequence[tuple[str, str]]) -> None:
    """A green title and name-value lines."""
    click.secho(title, fg="green")
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        click.echo(f"  {name:<{width}}  {value}")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows under headings; in a pipe tab-separated, one line each, for other programs."""
    if not is_terminal():
        for row in (columns, *rows):
            click.echo("\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in row))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*(escape(cell) for cell in row))
    Console().print(shown)


def escape(cell: str) -> str:
    """Rich reads `[…]` as markup; spec text must not be."""
    from rich.markup import escape as rich_escape

    return rich_escape(cell)
