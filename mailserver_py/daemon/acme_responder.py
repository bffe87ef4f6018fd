"""Answers HTTP-01 challenges: RFC 8555 §8.3. One responder, not an HTTP server.

`GET /.well-known/acme-challenge/<token>` is answered from the file of that name in the folder that the
certificate job writes into; everything else is 404, nothing is redirected, and each connection gets one
answer.
"""

from __future__ import annotations

import re
from pathlib import Path

from mailserver_py.net.connection import Connection, Deadline

PREFIX = "/.well-known/acme-challenge/"

TOKEN = re.compile(r"[A-Za-z0-9_-]{1,256}")
"""base64url without padding (RFC 8555 §8.1): no dot and no slash, so it names a file in the folder and
nowhere else.
"""

REQUEST_LIMIT_BYTES = 8_192
"""Request line and headers; what servers commonly take."""

REQUEST_S = 10.0
"""For the whole request."""

ANSWER_LIMIT_BYTES = 1_024
"""A key authorisation is a token, a dot and 43 characters."""


async def answer_challenge(connection: Connection, folder: Path) -> None:
    """Reads one request, answers, returns. Raises what the connection raises."""
    deadline = Deadline(REQUEST_S)
    request = b""
    while b"\r\n\r\n" not in request:
        data = await connection.read(deadline.left_s())
        if not data:
            return
        request += data
        if len(request) > REQUEST_LIMIT_BYTES:
            await _answer(connection, "431 Request Header Fields Too Large", b"")
            return
    words = request.partition(b"\r\n")[0].decode("ascii", "replace").split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        await _answer(connection, "400 Bad Request", b"")
        return
    method, path, _ = words
    token = path.removeprefix(PREFIX)
    if method not in ("GET", "HEAD") or not path.startswith(PREFIX) or not TOKEN.fullmatch(token):
        await _answer(connection, "404 Not Found", b"")
        return
    body = _read(folder / token)
    if body is None:
        await _answer(connection, "404 Not Found", b"")
        return
    await _answer(connection, "200 OK", body, with_body=method == "GET")


def _read(path: Path) -> bytes | None:
    """A few octets in memory (/run); no thread is worth it."""
    try:
        with path.open("rb") as file:
            return file.read(ANSWER_LIMIT_BYTES)
    except OSError:
        return None


async def _answer(connection: Connection, status: str, body: bytes, *, with_body: bool = True) -> None:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/octet-stream\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    await connection.write(head.encode() + (body if with_body else b""))
