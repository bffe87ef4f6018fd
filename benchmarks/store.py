"""How fast is the store? Prints figures for this machine, asserts nothing: `python -m benchmarks.store [--fast]`.

- letters of 5 kB accepted durably and delivered to local mailboxes by two processes on one store;
- reading: a mailbox's messages, digests and letters, warm.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from mailserver_py.mailstore.embedded import EmbeddedStore
from mailserver_py.mailstore.values import Digest, NewLetter, NewMessage, NewRecipient

LETTER_BYTES = 5000
ACCOUNT_COUNT = 20


def cheap_digest(letter: bytes) -> Digest:
    """Columns of common size without the work of reading the letter."""
    return Digest(
        letter[:300],
        letter[:200],
        letter[:150],
        letter[:40],
        400,
        1_700_000_000,
        "Subject",
        letter[:30].hex(),
    )


def letter(number: int) -> bytes:
    """A letter of LETTER_BYTES like no other."""
    head = b"Message-Id: <%d.%d.%s@bench.test>\r\nSubject: one of many\r\n\r\n" % (
        os.getpid(),
        number,
        os.urandom(8).hex().encode(),
    )
    return head + b"x" * (LETTER_BYTES - len(head) - 2) + b"\r\n"


async def session(
    store: EmbeddedStore, accounts: list[str], count: int, first: int, waits: list[float]
) -> None:
    """One SMTP session's work: a letter after the other, each answered before the next."""
    now_s = int(time.time())
    for number in range(first, first + count):
        account = accounts[number % len(accounts)]
        staging = store.stage()
        await staging.write(letter(number))
        staged = await staging.finish()
        started = time.perf_counter()
        recipients = [NewRecipient(account, account)]
        queued = await store.queue.accept(
            NewLetter(f"t{number}", "a@b.test", staged, recipients, now_s), "w", 60
        )
        waits.append(time.perf_counter() - started)
        await store.queue.deliver_local(queued, now_s)


async def deliver(
    root: Path, session_count: int, count: int, barrier: object
) -> tuple[float, float, float, float]:
    """One process: `session_count` sessions; start, end, and the median and 99th percentile of the wait for accept."""
    store = EmbeddedStore.open(root, digest=cheap_digest)
    accounts = [f"user{number}@bench.test" for number in range(ACCOUNT_COUNT)]
    for account in accounts:
        await store.account(account)
    waits: list[float] = []
    await asyncio.get_running_loop().run_in_executor(None, barrier.wait)  # type: ignore[attr-defined]
    started = time.time()
    each = count // session_count
    await asyncio.gather(*(session(store, accounts, each, n * each, waits) for n in range(session_count)))
    ended = time.time()
    await store.close()
    return started, ended, statistics.median(waits), statistics.quantiles(waits, n=100)[98]


def worker(root: Path, session_count: int, count: int, barrier: object, results: object) -> None:
    """A process of its own."""
    results.put(asyncio.run(deliver(root, session_count, count, barrier)))  # type: ignore[attr-defined]


def measure_delivery(root: Path, process_count: int, session_count: int, count: int) -> None:
    """Prints letters per second for so many processes and sessions in all."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(process_count), context.Queue()
    share = (root, session_count // process_count, count // process_count, barrier, results)
    processes = [context.Process(target=worker, args=share) for _ in range(process_count)]
    for process in processes:
        process.start()
    figures = [results.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    spent_s = max(f[1] for f in figures) - min(f[0] for f in figures)
    print(
        f"accept + local delivery, {process_count} processes, {session_count} sessions, {ACCOUNT_COUNT} accounts:"
        f" {count / spent_s:,.0f} letters/s; accept median {max(f[2] for f in figures) * 1e3:.1f} ms,"
        f" p99 {max(f[3] for f in figures) * 1e3:.1f} ms"
    )


async def measure_reading(root: Path, count: int) -> None:
    """Prints what it takes to read a mailbox of `count` messages."""
    store = EmbeddedStore.open(root, digest=cheap_digest)
    account = await store.account("reader@bench.test")
    started = time.perf_counter()
    for start in range(0, count, 1000):
        batch = []
        for number in range(start, min(start + 1000, count)):
            staging = store.stage()
            await staging.write(letter(number))
            batch.append(NewMessage(await staging.finish(), 1_700_000_000))
        await account.append("INBOX", batch)
    print(f"append in thousands: {count / (time.perf_counter() - started):,.0f} letters/s")
    mailbox = await account.mailbox("INBOX")
    for attempt in ("first", "warm"):
        started = time.perf_counter()
        messages = await account.messages(mailbox.mailbox_id)
        spent_s = time.perf_counter() - started
        print(f"messages of {len(messages):,}, {attempt}: {spent_s:.3f} s")
    uids = [message.uid for message in messages]
    for columns in (["envelope"], ["envelope", "bodystructure", "parts", "header_bytes"]):
        started = time.perf_counter()
        rows = await account.digests(mailbox.mailbox_id, uids, columns)
        print(f"digests ({', '.join(columns)}): {len(rows) / (time.perf_counter() - started):,.0f} rows/s")
    started = time.perf_counter()
    size_bytes = 0
    async for chunk in account.letters(mailbox.mailbox_id, uids[:10_000]):
        size_bytes += sum(len(data) for _, data in chunk if data)
    print(f"letters of 5 kB, hash checked: {size_bytes / 1e6 / (time.perf_counter() - started):,.0f} MB/s")
    await store.close()


def main() -> None:
    """Measures in a temporary folder on the working directory's file system."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fast", action="store_true", help="a tenth of the work")
    parser.add_argument("--only", choices=("delivery", "reading"))
    arguments = parser.parse_args()
    part = 10 if arguments.fast else 1
    folder = Path(tempfile.mkdtemp(prefix="store-bench-", dir="."))
    try:
        if arguments.only != "reading":
            for process_count, session_count in ((1, 20), (2, 20), (2, 60)):
                root = folder / f"delivery-{process_count}-{session_count}"
                measure_delivery(root, process_count, session_count, 24_000 // part)
        if arguments.only != "delivery":
            asyncio.run(measure_reading(folder / "reading", 100_000 // part))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
