"""Letters of 5 kB accepted durably, and visible by IMAP, per second: 20 sessions, 20 accounts.

A ledger closes each run: the Message-ID of every letter that was accepted must be found in the recipients' inboxes.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import hosts
from .figures import Figure
from .imap_client import ImapClient

LETTER_BYTES = 5_000
VISIBLE_LIMIT_S = 300.0
POLL_S = 0.05
"""Between two looks at the inboxes: often enough for the figure, too seldom to be a load."""

_COUNT = re.compile(rb"MESSAGES (\d+)")
_TOKEN = re.compile(rb"(?im)^Message-ID: <([^@>]+)@load\.example>")


@dataclass(slots=True)
class Inboxes:
    """The eyes on one host: a connection for each account."""

    clients: Sequence[ImapClient]
    seen: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, host: hosts.MailHost) -> Inboxes:
        """Logs in everywhere."""
        port = host.ports["imaps"]
        return cls([ImapClient(port, account, hosts.PASSWORD) for account in hosts.ACCOUNTS])

    def counts(self) -> list[int]:
        """Messages in each inbox now."""
        return [int(_COUNT.findall(client.text("STATUS INBOX (MESSAGES)"))[0]) for client in self.clients]

    def tokens(self, before: Sequence[int]) -> set[str]:
        """Which letters came since."""
        found: set[str] = set()
        for client, count in zip(self.clients, before, strict=True):
            client.run("SELECT INBOX")
            text = client.text(f"FETCH {count + 1}:* BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]")
            found |= {token.decode() for token in _TOKEN.findall(text)}
            client.run("CLOSE")
        return found


def measure_once(host: hosts.MailHost, inboxes: Inboxes, letters: int, sessions: int) -> dict[str, float]:
    """One run. Raises RuntimeError when an accepted letter is missing."""
    before = inboxes.counts()
    command = [sys.executable, str(Path(__file__).with_name("load.py"))]
    command += ["127.0.0.1", str(host.ports["smtp"]), *hosts.ACCOUNTS]
    command += ["--sessions", str(sessions), "--letters", str(letters), "--size", str(LETTER_BYTES)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result = json.loads(done.stdout)
    accepted = set(result["accepted"])
    if result["errors"]:
        raise RuntimeError(f"{host.name} refused letters: {result['errors']}")
    end = time.time() + VISIBLE_LIMIT_S
    while (visible := sum(inboxes.counts()) - sum(before)) < len(accepted) and time.time() < end:
        time.sleep(POLL_S)
    visible_s = time.time() - result["started_at_s"]
    missing = accepted - inboxes.tokens(before)
    if missing:
        raise RuntimeError(f"{host.name} accepted {len(missing)} letters that are not to be seen")
    return {
        "accepted": len(accepted) / result["seconds"],
        "visible": visible / visible_s,
        "median_ms": result["median_ms"],
        "worst_ms": result["worst_ms"],
        "client_cpu_s": result["client_cpu_s"],
    }


def measure(sides: Sequence[hosts.MailHost], rounds: int, *, fast: bool = False) -> Iterator[Figure]:
    """Both sides in turns."""
    letters, sessions = (1_000 if fast else 4_000), 20
    figures = {
        "accepted": Figure("letters of 5 kB accepted durably, 20 sessions", "letters/s"),
        "visible": Figure("… and visible by IMAP", "letters/s", note="ledger: every one found"),
        "median_ms": Figure("… median wait for the promise", "ms", higher_is_better=False),
        "worst_ms": Figure("… worst wait", "ms", higher_is_better=False),
    }
    eyes = {side.name: Inboxes.of(side) for side in sides}
    for number in range(rounds + 1):
        for side in sides:
            # The first round makes the accounts, and is not counted.
            result = measure_once(side, eyes[side.name], letters if number else 200, sessions)
            for name, figure in figures.items():
                if number:
                    (figure.ours if side.name == "ours" else figure.theirs).append(result[name])
    yield from figures.values()
