"""Memory of an idle IMAP connection over TLS: logged in, INBOX selected, in IDLE.

Proportional set size of all processes of a host, before and after; pages that a process keeps for later count too.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator, Sequence

from . import hosts
from .figures import Figure
from .imap_client import ImapClient

SETTLE_S = 2.0
"""For what a login leaves behind (its hash's memory, its process) to go."""


def measure(sides: Sequence[hosts.MailHost], rounds: int, *, fast: bool = False) -> Iterator[Figure]:
    """One run on each side: the same connections again would find memory that is already there."""
    del rounds
    count = 100 if fast else 500
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, count + 500)), hard))
    memory = Figure(f"memory of an idle IMAP connection, TLS, {count} of them", "kB", higher_is_better=False)
    logins = Figure(f"{count} logins one after the other, TLS, SELECT, IDLE", "logins/s")
    for side in sides:
        port = side.ports["imaps"]
        warm = [open_one(port, account) for account in hosts.ACCOUNTS]
        time.sleep(SETTLE_S)
        before_bytes = side.memory_bytes()
        began_s = time.perf_counter()
        clients = [open_one(port, hosts.ACCOUNTS[number % len(hosts.ACCOUNTS)]) for number in range(count)]
        spent_s = time.perf_counter() - began_s
        time.sleep(SETTLE_S)
        each_kb = (side.memory_bytes() - before_bytes) / count / 1024
        (memory.ours if side.name == "ours" else memory.theirs).append(each_kb)
        (logins.ours if side.name == "ours" else logins.theirs).append(count / spent_s)
        for client in (*warm, *clients):
            client.close()
    yield memory
    yield logins


def open_one(port: int, account: str) -> ImapClient:
    """A connection in IDLE."""
    client = ImapClient(port, account, hosts.PASSWORD)
    client.run("SELECT INBOX")
    client.socket.sendall(client.tag() + b" IDLE\r\n")
    while b"+" not in bytes(client.buffer[: client.socket.recv_into(client.buffer)]):
        pass
    return client
