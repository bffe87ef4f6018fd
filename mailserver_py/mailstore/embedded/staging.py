"""Collects the octets of one letter as they come from a socket: in memory while small, in a file beyond.

Nothing is promised yet. The engine syncs a large letter before it joins a batch (`EmbeddedStore.presync`), so that
small letters do not wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from concurrent.futures import Executor

from ..values import Staged
from .files import Files, write_all
from .refusals import refusal

MEMORY_LIMIT_BYTES = 256 * 1024
"""Most letters are far below; a hundred sessions at once then hold 25 MB, and larger letters pay with a file."""

CHUNK_BYTES = 256 * 1024
"""What is gathered before a thread writes it: fewer hops than one for each read of the socket."""


class FileStaging:
    """The engine's `port.Staging`."""

    def __init__(self, files: Files, executor: Executor) -> None:
        self.files = files
        self.executor = executor
        self.hash = hashlib.sha256()
        self.size_bytes = 0
        self.chunks: list[bytes] = []
        self.kept_bytes = 0
        self.path = ""

    async def write(self, chunk: bytes) -> None:
        """Takes the next octets. Raises StoreUnavailable."""
        self.hash.update(chunk)
        self.size_bytes += len(chunk)
        self.chunks.append(bytes(chunk))
        self.kept_bytes += len(chunk)
        if self.kept_bytes > (CHUNK_BYTES if self.path else MEMORY_LIMIT_BYTES):
            await self.spill()

    async def finish(self) -> Staged:
        """The whole letter. Raises StoreUnavailable."""
        if not self.path:
            data = b"".join(self.chunks)
            return Staged(self.hash.hexdigest(), self.size_bytes, "", data)
        await self.spill()
        return Staged(self.hash.hexdigest(), self.size_bytes, self.path, None)

    async def discard(self) -> None:
        """Forgets the octets. The file of a promised letter has another name by now and stays."""
        self.chunks.clear()
        self.kept_bytes = 0
        if self.path:
            with contextlib.suppress(FileNotFoundError):
                await asyncio.get_running_loop().run_in_executor(self.executor, os.unlink, self.path)

    async def spill(self) -> None:
        """Moves what is in memory to the file."""
        self.path = self.path or self.files.new_path()
        data = b"".join(self.chunks)
        self.chunks.clear()
        self.kept_bytes = 0
        try:
            await asyncio.get_running_loop().run_in_executor(self.executor, append, self.path, data)
        except OSError as error:
            raise refusal("cannot keep the letter", error) from error


def append(path: str, data: bytes) -> None:
    """Writes at the end of the file. Raises OSError."""
    handle = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    try:
        write_all(handle, data)
    finally:
        os.close(handle)
