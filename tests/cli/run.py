"""Running the command line in this process, as a shell would see it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from mailserver_py.cli import main


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    status: int
    out: str
    err: str


def run(capsys: pytest.CaptureFixture[str], *args: str) -> Ran:
    """One command."""
    capsys.readouterr()
    try:
        main([str(arg) for arg in args])
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    captured = capsys.readouterr()
    return Ran(status, captured.out, captured.err)
