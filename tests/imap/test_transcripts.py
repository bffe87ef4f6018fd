"""Every conversation in tests/transcripts/imap: whole, in pieces, byte by byte, and on the engine of the daemon."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mailserver_py.imap.digest import derive
from mailserver_py.mailstore.embedded.store import EmbeddedStore

from .transcript import FOLDER, Play

FILES = sorted(FOLDER.glob("*.txt"))

IN_MEMORY_ONLY = {"condstore", "damaged", "qresync"}
"""Those that know a store's own numbers, or harm it."""


@pytest.mark.parametrize("step", [0, 1, 7], ids=["whole", "bytewise", "sevens"])
@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_conversation_goes_as_written(path: Path, step: int) -> None:
    asyncio.run(Play(path.read_text(encoding="utf-8"), step).run())


ON_DISK = [path for path in FILES if path.stem not in IN_MEMORY_ONLY]


@pytest.mark.parametrize("path", ON_DISK, ids=[path.stem for path in ON_DISK])
def test_a_conversation_goes_the_same_way_on_the_embedded_store(path: Path, tmp_path: Path) -> None:
    async def run() -> None:
        store = EmbeddedStore.open(tmp_path, digest=derive)
        try:
            await Play(path.read_text(encoding="utf-8"), 0, store).run()
        finally:
            await store.close()

    asyncio.run(run())
