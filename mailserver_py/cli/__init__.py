"""The door: `mailserver <command>`. Errors become exit statuses here, and nowhere else.

Invariants:
- Importing this imports no other room; a command is loaded when it is called.
- Results go to stdout, everything else to stderr; with `--json` stdout is JSON alone.
- Exit status: 0 done, 1 findings, 2 the operator must act, 75 the world must (try later), 70 a bug of ours.

To add a command: a file of its name with a click command called `command`, and a row in `menu`.
"""

from __future__ import annotations

import sys
from difflib import get_close_matches
from importlib import import_module
from typing import NoReturn

import click

from ..errors import OperatorError, Reason
from .errors import exit_on_errors
from .menu import MENU, Row


class LazyGroup(click.Group):
    """A click group whose commands are rows of a menu."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The menu's order, not the alphabet's."""
        return [row.name for row in MENU]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the file of one command."""
        for row in MENU:
            if row.name == cmd_name:
                return _load(row)
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest known name when there is none."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            close = get_close_matches(args[0], self.list_commands(ctx), n=1)
            hint = f" Did you mean `mailserver {close[0]}`?" if close else " See `mailserver --help`."
            ctx.fail(f"There is no command {args[0]!r}.{hint}")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the menu alone: help must not import every room."""
        with formatter.section("Commands"):
            formatter.write_dl([(row.name, row.help) for row in MENU])


def _load(row: Row) -> click.Command:
    try:
        command = import_module(row.path).command
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.startswith(__package__.split(".", 1)[0]):
            raise
        text = f"`mailserver {row.name}` needs the package {missing.name!r}, which is not installed here"
        cure = "run it on the operator's machine; a mail host gets only what the daemon needs"
        raise OperatorError(Reason(text, cure)) from None
    assert isinstance(command, click.Command)
    return command


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mailserver-py", prog_name="mailserver")
def commands() -> None:
    """One spec provisions, runs, publishes and verifies a self-hosted mail server.

    SITE is the name of a folder under inventories/, or a path to one.
    """


def main(args: list[str] | None = None) -> NoReturn:
    """Runs one command and ends the process with its exit status."""
    with exit_on_errors(sys.argv[1:] if args is None else args):
        # Not standalone: click would turn an interrupt into status 1, and keep exceptions from the table of families.
        status = commands(args=args, prog_name="mailserver", standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    raise AssertionError("a command ends the process")
