"""The ClientHello reader, against hellos that OpenSSL wrote."""

from __future__ import annotations

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.net.client_hello import ClientHello, parse_client_hello


def hello_of(server_name: str | None = None, alpn: list[str] | None = None) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(alpn)
    out = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=server_name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return out.read()


@pytest.mark.parametrize(
    ("server_name", "alpn", "expected"),
    [
        (None, None, ClientHello(extended_master_secret=True)),
        ("mx1.example.org", None, ClientHello("mx1.example.org", (), True)),
        (None, ["imap"], ClientHello("", (b"imap",), True)),
        ("mx1.example.org", ["h2", "http/1.1"], ClientHello("mx1.example.org", (b"h2", b"http/1.1"), True)),
    ],
    ids=["neither", "name", "alpn", "both"],
)
def test_name_and_protocols_are_read(
    server_name: str | None, alpn: list[str] | None, expected: ClientHello
) -> None:
    assert parse_client_hello(hello_of(server_name, alpn)) == expected


def test_a_hello_in_pieces_is_asked_for_until_whole() -> None:
    data = hello_of("mx1.example.org", ["imap"])
    for end in range(len(data)):
        assert parse_client_hello(data[:end]) is None
    assert parse_client_hello(data + b"trailing") is not None


def test_a_hello_cut_into_many_records_is_joined() -> None:
    payload = hello_of("mx1.example.org", ["imap"])[5:]
    records = b"".join(
        b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece
        for piece in (payload[at : at + 7] for at in range(0, len(payload), 7))
    )
    assert parse_client_hello(records) == ClientHello("mx1.example.org", (b"imap",), True)


def test_what_is_no_tls_is_left_to_openssl() -> None:
    assert parse_client_hello(b"EHLO x\r\n") == ClientHello()


@given(st.binary(max_size=300), st.integers(0, 600))
def test_no_damage_raises(noise: bytes, at: int) -> None:
    data = bytearray(hello_of("mx1.example.org", ["imap"]))
    data[at : at + len(noise)] = noise
    parse_client_hello(bytes(data))
