"""The first TLS message, as far as we decide by it: server name, ALPN, and whether the master secret is bound to
the handshake: RFC 8446 §4.1.2, RFC 6066 §3, RFC 7301 §3.1, RFC 7627 §5.1.

OpenSSL through Python cannot tell "no ALPN offered" from "only foreign ALPN offered", and it goes on in both
cases. The second is how a browser is turned against a mail server (ALPACA, promises S06), so it is refused
here, before OpenSSL sees a byte. The reader is bounded and linear; what it cannot read it leaves to OpenSSL
to refuse.
"""

from __future__ import annotations

from dataclasses import dataclass

HELLO_LIMIT_BYTES = 65_536
"""Far more than any client sends, post-quantum key shares included; beyond it OpenSSL decides alone."""

NO_APPLICATION_PROTOCOL = bytes.fromhex("15030300020278")
"""A fatal alert 120 in a record of its own (RFC 7301 §3.2, RFC 8446 §6)."""

_HANDSHAKE_RECORD = 22
_CLIENT_HELLO = 1
_SERVER_NAME = 0
_ALPN = 16
_EXTENDED_MASTER_SECRET = 23


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What a client asked for."""

    server_name: str = ""
    alpn: tuple[bytes, ...] = ()
    extended_master_secret: bool = False
    """RFC 7627: OpenSSL agrees to it whenever it is asked. Of a meaning in TLS 1.2 only."""


class _CutShortError(Exception):
    """The bytes end inside a field."""


def parse_client_hello(data: bytes) -> ClientHello | None:
    """Reads the hello from the start of the stream; None when more bytes are needed to tell.

    A stream that is no TLS, or a hello that lies about its lengths, yields an empty `ClientHello`.
    """
    if data and data[0] != _HANDSHAKE_RECORD:
        return ClientHello()
    message = _handshake_bytes(data)
    if len(message) < 4:
        return ClientHello() if len(data) > HELLO_LIMIT_BYTES else None
    length = int.from_bytes(message[1:4], "big")
    if message[0] != _CLIENT_HELLO or length > HELLO_LIMIT_BYTES:
        return ClientHello()
    if len(message) < 4 + length:
        return ClientHello() if len(data) > 2 * HELLO_LIMIT_BYTES else None
    try:
        return _parse_body(message[4 : 4 + length])
    except _CutShortError:
        return ClientHello()


def _handshake_bytes(data: bytes) -> bytes:
    """The payloads of the leading handshake records, joined: a hello may be cut into several."""
    payloads, at = [], 0
    while at + 5 <= len(data) and data[at] == _HANDSHAKE_RECORD:
        length = int.from_bytes(data[at + 3 : at + 5], "big")
        payloads.append(data[at + 5 : at + 5 + length])
        at += 5 + length
    return b"".join(payloads)


def _parse_body(body: bytes) -> ClientHello:
    at = 2 + 32  # version, random
    for size_bytes in (1, 2, 1):  # session id, cipher suites, compression methods
        _, at = _vector(body, at, size_bytes)
    if at == len(body):
        return ClientHello()
    extensions, _ = _vector(body, at, 2)
    server_name, at, extended = "", 0, False
    alpn: tuple[bytes, ...] = ()
    while at < len(extensions):
        kind = int.from_bytes(extensions[at : at + 2], "big")
        content, at = _vector(extensions, at + 2, 2)
        if kind == _SERVER_NAME:
            server_name = _parse_server_name(content)
        elif kind == _ALPN:
            alpn = _parse_alpn(content)
        elif kind == _EXTENDED_MASTER_SECRET:
            extended = True
    return ClientHello(server_name, alpn, extended)


def _vector(data: bytes, at: int, size_bytes: int) -> tuple[bytes, int]:
    """A length-prefixed field and where the next begins."""
    start = at + size_bytes
    end = start + int.from_bytes(data[at:start], "big")
    if end > len(data) or start > len(data):
        raise _CutShortError
    return data[start:end], end


def _parse_server_name(content: bytes) -> str:
    names, _ = _vector(content, 0, 2)
    if not names or names[0] != 0:  # host_name is the only kind there is
        return ""
    name, _ = _vector(names, 1, 2)
    text = name.decode("ascii", "replace")
    return text if len(text) <= 255 and text.isprintable() else ""


def _parse_alpn(content: bytes) -> tuple[bytes, ...]:
    names, _ = _vector(content, 0, 2)
    found, at = [], 0
    while at < len(names):
        name, at = _vector(names, at, 1)
        found.append(name)
    return tuple(found)
