"""Reading and changing a mailbox of 2,500 real letters by IMAP over TLS, warm: each command a few times, both sides in
turns, by a client that only counts octets.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests import corpus

from . import hosts
from .figures import Figure
from .imap_client import ImapClient

LETTER_COUNT = 2_500
NOOP_COUNT = 500
ONE_BY_ONE_COUNT = 500
BOX, OTHER = "bench", "other"
ABSENT = "xylophonologist"
"""Stands in no letter, so that every one is read to its end."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do with a mailbox, `count` messages (or commands) in all."""

    name: str
    run: Callable[[ImapClient, int], object]
    unit: str = "messages/s"
    repeats: int = 0
    """Of a command; 0: it is one command for all messages."""
    reset: Callable[[ImapClient], object] = lambda client: None


def command(text: str) -> Callable[[ImapClient, int], object]:
    """A step of one command."""
    return lambda client, count: client.run(text)


def repeated(text: str, times: int) -> Callable[[ImapClient, int], object]:
    """The same command, each after the answer to the last."""
    return lambda client, count: [client.run(text) for _ in range(times)]


def one_by_one(text: str) -> Callable[[ImapClient, int], object]:
    """A command for each of the first messages."""
    return lambda client, count: [client.run(text.format(n)) for n in range(1, ONE_BY_ONE_COUNT + 1)]


def empty_other(client: ImapClient) -> None:
    """The target of COPY as it was."""
    client.run(f"DELETE {OTHER}")
    client.run(f"CREATE {OTHER}")


STEPS = (
    Step("FETCH FLAGS", command("FETCH 1:* (UID FLAGS)")),
    Step("FETCH ENVELOPE", command("FETCH 1:* ENVELOPE")),
    Step("FETCH BODYSTRUCTURE", command("FETCH 1:* BODYSTRUCTURE")),
    Step("FETCH ALL", command("FETCH 1:* ALL")),
    Step(
        "FETCH four header fields",
        command("FETCH 1:* BODY.PEEK[HEADER.FIELDS (DATE FROM SUBJECT TO)]"),
    ),
    Step("FETCH whole headers", command("FETCH 1:* BODY.PEEK[HEADER]")),
    Step("FETCH whole letters", command("FETCH 1:* BODY.PEEK[]"), unit="MB/s"),
    Step(
        "FETCH whole letters one by one",
        one_by_one("FETCH {} BODY.PEEK[]"),
        unit="letters/s",
        repeats=ONE_BY_ONE_COUNT,
    ),
    Step(
        "FETCH flags, envelope, structure one by one",
        one_by_one("FETCH {} (FLAGS ENVELOPE BODYSTRUCTURE)"),
        unit="commands/s",
        repeats=ONE_BY_ONE_COUNT,
    ),
    Step("SEARCH TEXT, nothing found", command(f"SEARCH TEXT {ABSENT}")),
    Step("SEARCH SUBJECT", command(f"SEARCH SUBJECT {ABSENT}")),
    Step("SEARCH HEADER X-Mailer", command(f"SEARCH HEADER X-Mailer {ABSENT}")),
    Step("SEARCH UNSEEN", command("SEARCH UNSEEN")),
    Step(
        "STORE all +FLAGS",
        command("STORE 1:* +FLAGS (\\Flagged)"),
        reset=lambda client: client.run("STORE 1:* -FLAGS.SILENT (\\Flagged)"),
    ),
    Step(
        "STORE one by one",
        one_by_one("STORE {} FLAGS ($Label1)"),
        "commands/s",
        ONE_BY_ONE_COUNT,
        reset=lambda client: client.run("STORE 1:* FLAGS.SILENT ()"),
    ),
    Step("COPY all", command(f"COPY 1:* {OTHER}"), reset=empty_other),
    Step("SELECT", repeated(f"SELECT {BOX}", 20), "commands/s", 20),
    Step("NOOP", repeated("NOOP", NOOP_COUNT), "commands/s", NOOP_COUNT),
)


def measure(sides: Sequence[hosts.MailHost], rounds: int, *, fast: bool = False) -> Iterator[Figure]:
    """Fills a mailbox on each side, then measures step by step."""
    limit = 600 if fast else LETTER_COUNT
    letters = [letter for _, letter in corpus.letters(2)][:limit]
    if not letters:
        yield Figure("IMAP with real letters", "", note="not measured: `make corpus` fetches the letters")
        return
    appended = Figure(f"APPEND {len(letters):,} real letters one by one", "letters/s")
    clients: dict[str, ImapClient] = {}
    for side in sides:
        client = clients[side.name] = ImapClient(side.ports["imaps"], hosts.ACCOUNTS[0], hosts.PASSWORD)
        client.run(f"CREATE {BOX}")
        client.run(f"CREATE {OTHER}")
        began_s = time.perf_counter()
        for letter in letters:
            client.append(BOX, letter)
        add(appended, side, len(letters) / (time.perf_counter() - began_s))
        client.run(f"SELECT {BOX}")
    yield appended
    for step in STEPS:
        yield measure_step(step, sides, clients, len(letters), rounds)
    for client in clients.values():
        client.close()


def measure_step(
    step: Step, sides: Sequence[hosts.MailHost], clients: dict[str, ImapClient], count: int, rounds: int
) -> Figure:
    """One step, warm: its first run is not counted."""
    figure = Figure(step.name, step.unit)
    for number in range(rounds + 1):
        for side in sides:
            client = clients[side.name]
            before_bytes = client.received_bytes
            began_s = time.perf_counter()
            step.run(client, count)
            spent_s = time.perf_counter() - began_s
            size_mb = (client.received_bytes - before_bytes) / 1e6
            step.reset(client)
            done = size_mb if step.unit == "MB/s" else (step.repeats or count)
            if number:
                add(figure, side, done / spent_s)
    return figure


def add(figure: Figure, side: hosts.MailHost, value: float) -> None:
    """Keeps a run's figure on its side."""
    (figure.ours if side.name == "ours" else figure.theirs).append(value)
