"""Reading by IMAP: envelopes and bodies per second, warm, and what an idle connection costs in memory.

    python -m benchmarks.imap [--letters 2500] [--theirs HOST:PORT:USER:PASSWORD] [--corpus FOLDER]

The letters are those of a folder of `.txt` or `.eml` files, or made ones; they are put in by APPEND on either
side. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import ssl
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.intake import PASSWORD, make_host

ACCOUNT = "reader@example.org"
EMPTY_ACCOUNT = "empty@example.org"
IDLERS_COUNT = 500


def made_letters(count: int) -> list[bytes]:
    """Multipart letters of 2 to 30 kB with the headers that real ones have."""
    chance = random.Random(1)
    letters = []
    for number in range(count):
        text = b"".join(
            b"%d lines of nothing, %d words of less\r\n" % (chance.randrange(10**6), n)
            for n in range(chance.randrange(20, 400))
        )
        letters.append(
            (
                f"Return-Path: <list-bounces@example.net>\r\nReceived: from a by b; Mon, 2 Nov 2026 10:00:00 +0000\r\n"
                f"From: =?utf-8?q?J=C3=B6rg?= Sender <sender{number}@example.net>\r\nTo: <reader@example.org>\r\n"
                f"Cc: A <a@example.com>, B <b@example.com>\r\nSubject: Re: number {number} of a thread\r\n"
                f"Date: Mon, 2 Nov 2026 10:00:{number % 60:02d} +0000\r\nMessage-ID: <{number}@example.net>\r\n"
                f"In-Reply-To: <{number - 1}@example.net>\r\nMIME-Version: 1.0\r\n"
                'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n'
            ).encode()
            + text
            + b"--b\r\nContent-Type: text/html\r\n\r\n<p>"
            + text[:500]
            + b"\r\n--b--\r\n"
        )
    return letters


def corpus(folder: Path, count: int) -> list[bytes]:
    """Files as letters: line ends made CRLF, an mbox line taken off."""
    letters = []
    for path in sorted([*folder.rglob("*.txt"), *folder.rglob("*.eml")])[:count]:
        data = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if data.startswith(b"From "):
            data = data.partition(b"\n")[2]
        letters.append(data.replace(b"\n", b"\r\n"))
    return letters


class Client:
    """A bare IMAP client: it counts octets and parses nothing, so that it measures the server."""

    def __init__(self, address: str, port: int, user: str, password: str) -> None:
        """Over TLS, where people read."""
        raw = socket.create_connection((address, port))
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.socket = context.wrap_socket(raw)
        self.number = 0
        self.until(b"\r\n")
        self.run(f'LOGIN "{user}" "{password}"')

    def until(self, end: bytes) -> int:
        received, tail = 0, b""
        while True:
            data = self.socket.recv(1 << 18)
            if not data:
                raise ConnectionError("the server hung up")
            received += len(data)
            tail = (tail + data)[-4_096:]
            if end in tail and tail.endswith(b"\r\n"):
                return received

    def run(self, command: str) -> int:
        """Octets of the answer."""
        self.number += 1
        tag = f"t{self.number}"
        self.socket.sendall(f"{tag} {command}\r\n".encode())
        return self.until(f"{tag} ".encode())

    def append(self, letter: bytes) -> None:
        self.number += 1
        tag = f"t{self.number}"
        self.socket.sendall(f"{tag} APPEND INBOX {{{len(letter)}}}\r\n".encode())
        self.until(b"+")
        self.socket.sendall(letter + b"\r\n")
        self.until(f"{tag} ".encode())


def timed(client: Client, command: str, rounds: int) -> tuple[float, int]:
    """The best time, and the octets of an answer."""
    best, size_bytes = 1e9, 0
    for _ in range(rounds):
        started = time.perf_counter()
        size_bytes = client.run(command)
        best = min(best, time.perf_counter() - started)
    return best, size_bytes


def measure(client: Client, letters: Sequence[bytes], rounds: int) -> dict[str, object]:
    started = time.perf_counter()
    for letter in letters:
        client.append(letter)
    append_s = time.perf_counter() - started
    client.run("SELECT INBOX")
    count = len(letters)
    result: dict[str, object] = {"letters": count, "append_per_s": round(count / append_s)}
    for name, items in (
        ("flags", "(UID FLAGS)"),
        ("envelope", "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)"),
        ("bodystructure", "(UID BODYSTRUCTURE)"),
        ("headers", "(UID BODY.PEEK[HEADER])"),
    ):
        seconds, _ = timed(client, f"FETCH 1:* {items}", rounds)
        result[f"{name}_per_s"] = round(count / seconds)
    seconds, size_bytes = timed(client, "FETCH 1:* (UID BODY.PEEK[])", rounds)
    result["bodies_mb_per_s"] = round(size_bytes / seconds / 1e6, 1)
    seconds, _ = timed(client, "SEARCH TEXT nosuchword", max(1, rounds // 3))
    result["search_text_ms"] = round(seconds * 1000)
    return result


def pss_kb(pids: Sequence[int]) -> int:
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def idle_kb(address: str, port: int, pids: Sequence[int], account: str) -> float:
    """Memory of one logged-in IDLE connection over TLS, from the growth under many."""
    warm = [Client(address, port, account, PASSWORD) for _ in range(20)]
    before = pss_kb(pids)
    clients = [Client(address, port, account, PASSWORD) for _ in range(IDLERS_COUNT)]
    for client in clients:
        client.run("SELECT INBOX")
        client.socket.sendall(b"i IDLE\r\n")
        client.until(b"+")
    grown = (pss_kb(pids) - before) / len(clients)
    for client in (*warm, *clients):
        client.socket.close()
    return round(grown, 1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--letters", type=int, default=2_500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--theirs", metavar="HOST:PORT:USER:PASSWORD", help="a server to measure beside ours")
    chosen = parser.parse_args()
    letters = corpus(chosen.corpus, chosen.letters) if chosen.corpus else made_letters(chosen.letters)
    with tempfile.TemporaryDirectory(prefix="mailserver-imap-") as folder:
        sandbox = make_host(Path(folder), [ACCOUNT, EMPTY_ACCOUNT])
        try:
            client = Client("127.0.0.1", sandbox.ports["imaps"], ACCOUNT, PASSWORD)
            print("ours  ", json.dumps(measure(client, letters, chosen.rounds)))
            pids = [process.pid for process in sandbox.processes]
            port = sandbox.ports["imaps"]
            idle = {
                "idle_kb_empty": idle_kb("127.0.0.1", port, pids, EMPTY_ACCOUNT),
                f"idle_kb_{len(letters)}": idle_kb("127.0.0.1", port, pids, ACCOUNT),
            }
            print("ours  ", json.dumps(idle))
        finally:
            sandbox.stop()
    if chosen.theirs:
        host, port_text, user, password = chosen.theirs.split(":")
        theirs = Client(host, int(port_text), user, password)
        print("theirs", json.dumps(measure(theirs, letters, chosen.rounds)))


if __name__ == "__main__":
    main()
