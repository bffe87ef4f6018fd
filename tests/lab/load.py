"""Senders and readers under load, run inside the lab: `python -m tests.lab.load send|read …`.

A sender notes each letter in a ledger of its own before it leaves, and the answer when it came; no letter is sent
twice, so no second copy has an excuse. What a reader finds is printed as JSON: id → SHA-256 of each copy.
"""

from __future__ import annotations

import hashlib
import imaplib
import json
import os
import random
import smtplib
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.ledger import Answer, Ledger

MARK = b"X-Ledger: "
"""A letter's first line as it is sent; what stands before it later was added on the way."""

PAUSE_S = 0.05
"""After a lost connection, before the next."""

TIMEOUT_S = 10.0

Connect = Callable[[], smtplib.SMTP]


def make_letter(identity: str, sender: str, recipient: str) -> bytes:
    """Some kilobytes that no other letter has, with CRLF line ends."""
    body = "\r\n".join(random.randbytes(30).hex() for _ in range(random.randint(1, 120)))
    return MARK + (
        f"{identity}\r\nFrom: {sender}\r\nTo: {recipient}\r\nSubject: {identity}\r\n\r\n{body}\r\n"
    ).encode("ascii")


def digest(letter: bytes) -> str:
    return hashlib.sha256(letter).hexdigest()


class Sender(threading.Thread):
    """Sends one letter after the other over one connection for as long as it lasts, then over another."""

    def __init__(self, number: int, folder: Path, until_s: float, addresses: tuple[str, str]) -> None:
        super().__init__()
        self.number, self.until_s = number, until_s
        self.ledger = Ledger(folder / f"{number}-{os.getpid()}.ledger")
        self.sender, self.recipient = addresses
        self.connect: Connect

    def run(self) -> None:
        while time.monotonic() < self.until_s:
            try:
                with self.connect() as client:
                    while time.monotonic() < self.until_s:
                        self.send(client)
            except (OSError, smtplib.SMTPException):
                time.sleep(PAUSE_S)

    def send(self, client: smtplib.SMTP) -> None:
        identity = f"{self.number}-{random.getrandbits(64):016x}"
        letter = make_letter(identity, self.sender, self.recipient)
        self.ledger.sending(identity, digest(letter))
        try:
            client.sendmail(self.sender, self.recipient, letter)
        except smtplib.SMTPServerDisconnected:
            raise
        except smtplib.SMTPException:
            self.ledger.answered(identity, Answer.REFUSED)
            raise
        self.ledger.answered(identity, Answer.PROMISED)


def send(folder: Path, seconds: float, host: str, user: str, password: str, recipient: str) -> None:
    """Four senders: two strangers on port 25, two users on 465."""
    until_s = time.monotonic() + seconds

    def by_stranger() -> smtplib.SMTP:
        return smtplib.SMTP(host, 25, local_hostname="mx.peer.test", timeout=TIMEOUT_S)

    def by_user() -> smtplib.SMTP:
        client = smtplib.SMTP_SSL(host, 465, local_hostname="client.invalid", timeout=TIMEOUT_S)
        client.login(user, password)
        return client

    senders = []
    for number in range(4):
        submits = number % 2
        sender = Sender(number, folder, until_s, (user if submits else "load@sender.invalid", recipient))
        sender.connect = by_user if submits else by_stranger
        senders.append(sender)
        sender.start()
    for sender in senders:
        sender.join()


def read(host: str, user: str, password: str) -> dict[str, list[str]]:
    """Every letter of the ledgers in a user's inbox."""
    found: dict[str, list[str]] = {}
    with imaplib.IMAP4_SSL(host, timeout=TIMEOUT_S) as client:
        client.login(user, password)
        client.select(readonly=True)
        _, rows = client.fetch("1:*", "(BODY.PEEK[])")
        for row in rows:
            if isinstance(row, tuple) and (at := row[1].find(MARK)) >= 0:
                letter = row[1][at:]
                identity = letter[len(MARK) :].split(b"\r\n", 1)[0].decode("ascii", "replace")
                found.setdefault(identity, []).append(digest(letter))
    return found


if __name__ == "__main__":
    verb, *words = sys.argv[1:]
    if verb == "send":
        send(Path(words[0]), float(words[1]), *words[2:])
    else:
        print(json.dumps(read(*words)))
