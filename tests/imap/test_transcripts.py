"""Every conversation in tests/transcripts/imap, whole, in pieces, and byte by byte."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from .transcript import FOLDER, Play

FILES = sorted(FOLDER.glob("*.txt"))


@pytest.mark.parametrize("step", [0, 1, 7], ids=["whole", "bytewise", "sevens"])
@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_conversation_goes_as_written(path: Path, step: int) -> None:
    asyncio.run(Play(path.read_text(encoding="utf-8"), step).run())
