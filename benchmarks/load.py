"""A small SMTP load: sessions that stay open, letters of one size, as much as the server takes.

Runs in a process of its own, so that the client's interpreter does not slow a server that shares it, and serves all
sessions from one thread, so that it costs the machine little. MAIL, RCPT and DATA go in one write, as PIPELINING
allows and every real sender does; the next letter waits for the answer to the last. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import selectors
import socket
import time
from collections.abc import Callable

LINE = b"All work and no play makes a mail server a dull thing to measure, says it.\r\n"
IDLE_LIMIT_S = 60.0
"""Without any answer for so long, a server is given up."""


def make_letter(sender: str, recipient: str, token: str, size_bytes: int) -> bytes:
    """A letter like no other, ready to be sent with its final dot."""
    head = (
        f"From: <{sender}>\r\nTo: <{recipient}>\r\nSubject: load {token}\r\n"
        f"Message-ID: <{token}@load.example>\r\n\r\n"
    ).encode()
    return head + LINE * max(1, (size_bytes - len(head)) // len(LINE)) + b".\r\n"


class Session:
    """One connection. It waits for `owed_count` reply lines, then does the next thing."""

    def __init__(self, address: str, port: int, recipient: str, tokens: list[str], size_bytes: int) -> None:
        self.recipient, self.tokens, self.size_bytes = recipient, tokens, size_bytes
        self.accepted: list[str] = []
        self.waits_s: list[float] = []
        self.error = ""
        self.over = False
        self.step: Callable[[list[bytes]], None] = self.greeted
        self.owed_count = 1
        self.received = b""
        self.began_s = 0.0
        self.commands = f"MAIL FROM:<load@load.example>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode()
        self.socket = socket.create_connection((address, port), timeout=IDLE_LIMIT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes, owed_count: int) -> None:
        """Sends, and says how many lines answer it."""
        self.owed_count = owed_count
        self.socket.sendall(data)

    def receive(self) -> None:
        """Takes what came."""
        data = self.socket.recv(65_536)
        if not data:
            self.error, self.over = "the server hung up", True
            return
        self.received += data
        lines = self.received.split(b"\r\n")
        final = [line for line in lines[:-1] if line[3:4] != b"-"]
        if len(final) >= self.owed_count and not lines[-1]:
            self.received = b""
            self.step(final)

    def greeted(self, _: list[bytes]) -> None:
        """After the banner."""
        self.step = self.next_letter
        self.send(b"EHLO load.example\r\n", 1)

    def next_letter(self, _: list[bytes]) -> None:
        """The next transaction, or the end."""
        if not self.tokens:
            self.over = True
            self.socket.sendall(b"QUIT\r\n")
            return
        self.began_s = time.monotonic()
        self.step = self.invited
        self.send(self.commands, 3)

    def invited(self, lines: list[bytes]) -> None:
        """354 came, or not."""
        if not lines[2].startswith(b"354"):
            self.error, self.over = repr(lines), True
            return
        self.step = self.answered
        letter = make_letter("load@load.example", self.recipient, self.tokens[-1], self.size_bytes)
        self.send(letter, 1)

    def answered(self, lines: list[bytes]) -> None:
        """The promise, or not."""
        if not lines[0].startswith(b"250"):
            self.error, self.over = repr(lines), True
            return
        self.waits_s.append(time.monotonic() - self.began_s)
        self.accepted.append(self.tokens.pop())
        self.next_letter(lines)


def run(sessions: list[Session]) -> None:
    """Until all sessions are over."""
    with selectors.DefaultSelector() as selector:
        for session in sessions:
            selector.register(session.socket, selectors.EVENT_READ, session)
        left_count = len(sessions)
        while left_count:
            ready = selector.select(IDLE_LIMIT_S)
            if not ready:
                return
            for key, _ in ready:
                key.data.receive()
                if key.data.over:
                    selector.unregister(key.fileobj)
                    left_count -= 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("recipients", nargs="+")
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--letters", type=int, default=2_000, help="in all")
    parser.add_argument("--size", type=int, default=5_000, help="octets of a letter")
    chosen = parser.parse_args()
    each = chosen.letters // chosen.sessions
    run_id = time.time_ns()
    sessions = []
    for number in range(chosen.sessions):
        recipient = chosen.recipients[number % len(chosen.recipients)]
        tokens = [f"{run_id}.{number}.{n}" for n in range(each)]
        sessions.append(Session(chosen.address, chosen.port, recipient, tokens, chosen.size))
    started = time.time()
    run(sessions)
    seconds = time.time() - started
    waits = sorted(wait for session in sessions for wait in session.waits_s) or [0.0]
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                "accepted": [token for session in sessions for token in session.accepted],
                "started_at_s": started,
                "seconds": seconds,
                "median_ms": round(waits[len(waits) // 2] * 1000, 1),
                "worst_ms": round(waits[-1] * 1000, 1),
                "client_cpu_s": round(used.ru_utime + used.ru_stime, 2),
                "errors": [session.error for session in sessions if session.error][:3],
            }
        )
    )


if __name__ == "__main__":
    main()
