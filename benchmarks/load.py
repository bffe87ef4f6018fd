"""A small SMTP load: sessions that stay open, letters of one size, as much as the server takes.

Runs in a process of its own, so that the client's interpreter does not slow a server that shares it. MAIL,
RCPT and DATA go in one write when the server offers PIPELINING, as every real sender does.
"""

from __future__ import annotations

import argparse
import json
import socket
import threading
import time


def make_letter(sender: str, recipient: str, number: int, size_bytes: int) -> bytes:
    head = (
        f"From: <{sender}>\r\nTo: <{recipient}>\r\nSubject: load {number}\r\n"
        f"Message-ID: <{number}.{time.time_ns()}@load.example>\r\n\r\n"
    ).encode()
    line = b"All work and no play makes a mail server a dull thing to measure, says it.\r\n"
    return head + line * max(1, (size_bytes - len(head)) // len(line))


class Session(threading.Thread):
    """One connection."""

    def __init__(self, address: str, port: int, recipient: str, letters: list[bytes]) -> None:
        super().__init__(daemon=True)
        self.address, self.port, self.recipient, self.letters = address, port, recipient, letters
        self.accepted_count = 0
        self.worst_s = 0.0
        self.error = ""

    def run(self) -> None:
        try:
            self.talk()
        except OSError as error:
            self.error = str(error)

    def talk(self) -> None:
        with socket.create_connection((self.address, self.port), timeout=60) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            replies = sock.makefile("rb")

            def reply() -> bytes:
                while (line := replies.readline())[3:4] == b"-":
                    pass
                return line

            reply()
            sock.sendall(b"EHLO load.example\r\n")
            reply()
            commands = f"MAIL FROM:<load@load.example>\r\nRCPT TO:<{self.recipient}>\r\nDATA\r\n".encode()
            for letter in self.letters:
                started = time.monotonic()
                sock.sendall(commands)
                answers = [reply() for _ in range(3)]
                if not answers[2].startswith(b"354"):
                    self.error = repr(answers)
                    return
                sock.sendall(letter + b".\r\n")
                last = reply()
                if not last.startswith(b"250"):
                    self.error = repr(last)
                    return
                self.accepted_count += 1
                self.worst_s = max(self.worst_s, time.monotonic() - started)
            sock.sendall(b"QUIT\r\n")
            reply()


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
    sessions = []
    for number in range(chosen.sessions):
        recipient = chosen.recipients[number % len(chosen.recipients)]
        letters = [
            make_letter("load@load.example", recipient, number * each + n, chosen.size) for n in range(each)
        ]
        sessions.append(Session(chosen.address, chosen.port, recipient, letters))
    started = time.time()
    for session in sessions:
        session.start()
    for session in sessions:
        session.join()
    print(
        json.dumps(
            {
                "accepted": sum(session.accepted_count for session in sessions),
                "started_at_s": started,
                "seconds": time.time() - started,
                "worst_ms": round(max(session.worst_s for session in sessions) * 1000, 1),
                "errors": [session.error for session in sessions if session.error][:3],
            }
        )
    )


if __name__ == "__main__":
    main()
