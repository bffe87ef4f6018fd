"""Programs that run on the mail host, under its own Python or shell, before anything of ours is there.

Each file is sent as text and run by `python3 -c` or `sh -c`, so that one command does what would be dozens of round
trips.

Invariants:
- Only the standard library; the grammar of Python 3.9, so that an old Debian is told its reason and not a
  SyntaxError. Nothing imports from here: `program` reads the text.
- `probe` and `listening` change nothing. `apply` replaces each file at once (write, sync, rename).
- Secrets come by standard input, never as arguments, which `ps` shows.

To add a fact: a key in `probe`, its field in `provision.seen`, and the step that needs it.
"""

from __future__ import annotations

import shlex
from functools import cache
from pathlib import Path


@cache
def _read(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def program(name: str, *arguments: str) -> str:
    """Shell text that runs the file `name` of this folder with arguments."""
    interpreter = "python3 -c" if name.endswith(".py") else "sh -c"
    words = [_read(name), *arguments] if name.endswith(".py") else [_read(name), name, *arguments]
    return f"{interpreter} {shlex.join(words)}"
