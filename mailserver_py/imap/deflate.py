"""COMPRESS=DEFLATE: RFC 4978, raw DEFLATE (RFC 1951) in both directions. Bounded: a small bomb stays a small burden.

What comes in is inflated piece by piece, and each piece is taken by the session before the next is made, so memory does
not grow with the ratio. Work is bounded by the ratio: commands that grew more than RATIO_MAX times are no client's.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

CHUNK_BYTES = 65_536
"""Inflated at once; as much as one read of the network brings without compression."""
RATIO_MAX = 25
"""Octets of commands for one octet received, over the connection. Pipelined FETCHes of one message each reach 10."""
RATIO_FREE_BYTES = 524_288
"""Octets of commands that need no excuse: a few large ones may be all alike."""
LEVEL = 1
"""RFC 4978 §4: the least work brings responses to 25-40 % already."""
MEMORY_LEVEL = 5
"""With WINDOW_BITS about 48 kB for each connection instead of zlib's usual 256 kB; idle connections are many."""
WINDOW_BITS = 13


class TooDense(Exception):
    """What comes in is a bomb, or no DEFLATE at all."""


class Inflater:
    """What the client sends."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
        self._received_bytes = 0
        self._inflated_bytes = 0

    @property
    def ended(self) -> bool:
        """The client has closed its stream."""
        return self._stream.eof

    @property
    def rest(self) -> bytes:
        """What came behind the end of the stream."""
        return self._stream.unused_data

    def inflate(self, data: bytes) -> Iterator[bytes]:
        """Pieces of at most CHUNK_BYTES, made when they are asked for. Raises TooDense."""
        self._received_bytes += len(data)
        while not self._stream.eof:
            try:
                piece = self._stream.decompress(data, CHUNK_BYTES)
            except zlib.error as error:
                raise TooDense from error
            data = self._stream.unconsumed_tail
            if piece:
                yield piece
            if len(piece) < CHUNK_BYTES and not data:
                return

    def count(self, piece: bytes) -> None:
        """Counts a piece that was no letter's. Raises TooDense."""
        self._inflated_bytes += len(piece)
        if self._inflated_bytes > RATIO_FREE_BYTES + RATIO_MAX * self._received_bytes:
            raise TooDense


class Deflater:
    """What we send."""

    def __init__(self) -> None:
        self._stream = zlib.compressobj(LEVEL, zlib.DEFLATED, -WINDOW_BITS, MEMORY_LEVEL)

    def deflate(self, data: bytes) -> bytes:
        """The octets to be sent now; everything of `data` can be read from them."""
        return self._stream.compress(data) + self._stream.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        """The last octets of the stream."""
        return self._stream.flush(zlib.Z_FINISH)
