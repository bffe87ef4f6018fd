"""An IMAP client that only counts octets: what is measured is the server, not a client's parser.

It looks for the tagged line at the end of what came, never into literals, so a tag is long and random enough not to
stand in a letter.
"""

from __future__ import annotations

import secrets
import socket
import ssl

BUFFER_BYTES = 1 << 20
TAIL_BYTES = 4096
"""The tagged line is shorter, also that of LOGIN with all capabilities in it."""

CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""One for all: making one costs more than a login. The certificates are throw-away ones."""
CONTEXT.check_hostname = False
CONTEXT.verify_mode = ssl.CERT_NONE


class ImapClient:
    """One connection over TLS, logged in."""

    def __init__(self, port: int, user: str, password: str) -> None:
        raw = socket.create_connection(("127.0.0.1", port), timeout=120)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = CONTEXT.wrap_socket(raw)
        self.buffer = bytearray(BUFFER_BYTES)
        self.prefix = secrets.token_hex(5)
        self.count = 0
        self.received_bytes = 0
        self.socket.recv_into(self.buffer)  # the greeting is one short line
        self.run(f'LOGIN "{user}" "{password}"')

    def tag(self) -> bytes:
        """The next command's."""
        self.count += 1
        return f"{self.prefix}{self.count}".encode()

    def run(self, command: str) -> int:
        """Runs a command; the octets of its answer. Raises RuntimeError unless it ends with OK."""
        tag = self.tag()
        self.socket.sendall(tag + b" " + command.encode() + b"\r\n")
        return self.finish(tag, command)

    def finish(self, tag: bytes, command: str) -> int:
        """Reads up to the tagged line."""
        size_bytes = 0
        tail = b""
        view = memoryview(self.buffer)
        while True:
            count = self.socket.recv_into(self.buffer)
            if not count:
                raise RuntimeError(f"the server hung up in {command[:60]}")
            size_bytes += count
            tail = (tail + bytes(view[max(0, count - TAIL_BYTES) : count]))[-TAIL_BYTES:]
            if tail.endswith(b"\r\n"):
                last = tail[:-2].rpartition(b"\n")[2]
                if last.startswith(tag + b" "):
                    break
        if not last.startswith(tag + b" OK"):
            raise RuntimeError(f"{command[:60]}: {last.decode('utf-8', 'replace')}")
        self.received_bytes += size_bytes
        return size_bytes

    def text(self, command: str) -> bytes:
        """The whole answer."""
        tag = self.tag()
        self.socket.sendall(tag + b" " + command.encode() + b"\r\n")
        chunks = b""
        while True:
            data = self.socket.recv(BUFFER_BYTES)
            if not data:
                raise RuntimeError(f"the server hung up in {command[:60]}")
            chunks += data
            if chunks.endswith(b"\r\n") and chunks[:-2].rpartition(b"\n")[2].startswith(tag + b" "):
                return chunks

    def append(self, mailbox: str, letter: bytes) -> None:
        """One letter, by a literal that waits."""
        tag = self.tag()
        self.socket.sendall(tag + f" APPEND {mailbox} {{{len(letter)}}}\r\n".encode())
        while not self.socket.recv_into(self.buffer):
            raise RuntimeError("the server hung up in APPEND")
        if self.buffer[:1] != b"+":
            raise RuntimeError(f"APPEND: {bytes(self.buffer[:80])!r}")
        self.socket.sendall(letter + b"\r\n")
        self.finish(tag, "APPEND")

    def close(self) -> None:
        """Says nothing, hangs up."""
        self.socket.close()
