"""The HTTP-01 responder, byte for byte."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mailserver_py.daemon.acme_responder import answer_challenge
from mailserver_py.net.pretend import pretend_pair


def ask(folder: Path, *chunks: bytes) -> bytes:
    async def case() -> bytes:
        server, client = pretend_pair()
        serving = asyncio.create_task(answer_challenge(server, folder))
        for chunk in chunks:
            await client.write(chunk)
        answer = b""
        try:
            async with asyncio.timeout(1):
                await serving
        finally:
            await server.close()
        while data := await client.read(1):
            answer += data
        return answer

    return asyncio.run(case())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "to-ken_1").write_bytes(b"to-ken_1.thumb")
    (tmp_path / "secret").write_bytes(b"secret")
    return tmp_path / "acme"


REQUEST = b"GET /.well-known/acme-challenge/to-ken_1 HTTP/1.1\r\nHost: mx1.example.org\r\n\r\n"


def test_a_challenge_is_answered(folder: Path) -> None:
    answer = ask(folder, REQUEST)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nto-ken_1.thumb")


def test_a_request_byte_by_byte_is_answered_too(folder: Path) -> None:
    assert ask(folder, *(REQUEST[at : at + 1] for at in range(len(REQUEST)))).endswith(b"to-ken_1.thumb")


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET /.well-known/acme-challenge/other HTTP/1.1", b"404"),
        (b"GET /.well-known/acme-challenge/../../secret HTTP/1.1", b"404"),
        (b"GET /.well-known/acme-challenge/..%2fsecret HTTP/1.1", b"404"),
        (b"GET /.well-known/acme-challenge/ HTTP/1.1", b"404"),
        (b"GET / HTTP/1.1", b"404"),
        (b"POST /.well-known/acme-challenge/to-ken_1 HTTP/1.1", b"404"),
        (b"GET /.well-known/acme-challenge/to-ken_1", b"400"),
        (b"\xff\xfe\x00", b"400"),
        (b"GET / SMTP/1.1", b"400"),
    ],
    ids=lambda value: value.decode("latin-1"),
)
def test_everything_else_is_refused(folder: Path, line: bytes, status: bytes) -> None:
    answer = ask(folder, line + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"secret" not in answer


def test_endless_headers_are_cut(folder: Path) -> None:
    assert ask(folder, b"GET / HTTP/1.1\r\n", *[b"X: y\r\n" * 100] * 100).startswith(b"HTTP/1.1 431")
