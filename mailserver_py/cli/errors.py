"""Error families → exit status and readable text on stderr (house rule: who must act).

A bug shows an incident id and its traceback: whoever runs a command line may see it, and should report it.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from ..errors import OperatorError, PeerError, WorldError

EX_SOFTWARE = 70
"""sysexits.h: an internal error."""

EX_INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""

JSON_FLAG = "--json"


@contextmanager
def exit_on_errors(args: Sequence[str]) -> Iterator[None]:
    """Turns what a command raises into one message and one exit status."""
    as_json = JSON_FLAG in args
    try:
        yield
    except OperatorError as error:
        _say_reasons(error, as_json)
        sys.exit(error.exit_status)
    except WorldError as error:
        _say("the world refuses for now", str(error) or type(error).__name__, WorldError.exit_status, as_json)
    except PeerError as error:
        _say("the other side refuses", str(error) or type(error).__name__, WorldError.exit_status, as_json)
    except BrokenPipeError:
        # `mailserver zone SITE | head`: not an error. Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("stopped", err=True)
        sys.exit(EX_INTERRUPTED)
    except Exception:
        incident = secrets.token_hex(4)
        traceback.print_exc()
        text = f"this is a bug of ours; please report it with the lines above (incident {incident})"
        _say("unexpected", text, EX_SOFTWARE, as_json)


def _say_reasons(error: OperatorError, as_json: bool) -> None:
    if as_json:
        click.echo(
            json.dumps(
                {
                    "reasons": [
                        {"file": r.file, "line": r.line, "text": r.text, "cure": r.cure}
                        for r in error.reasons
                    ]
                },
                ensure_ascii=False,
                indent=2,
            )
        )
        return
    for reason in error.reasons:
        place = f"{reason.file}:{reason.line}: " if reason.line else f"{reason.file}: " if reason.file else ""
        click.echo(click.style(place, bold=True) + click.style(reason.text, fg="red"), err=True)
        if reason.cure:
            click.echo(f"    → {reason.cure}", err=True)
    count = len(error.reasons)
    if count > 1:
        click.echo(f"{count} things to mend", err=True)


def _say(what: str, text: str, status: int, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"error": what, "text": text}, ensure_ascii=False))
    click.echo(click.style(f"{what}: ", fg="red") + text, err=True)
    sys.exit(status)
