"""Several processes open one store, and make the same accounts, at the same moment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROCESS_COUNT = 3
ACCOUNT_COUNT = 15

PROGRAM = """
import asyncio, sys
from pathlib import Path
from mailserver_py.mailstore.embedded import EmbeddedStore

async def main():
    print("ready", flush=True)
    sys.stdin.readline()
    store = EmbeddedStore.open(Path(sys.argv[1]))
    for number in range(int(sys.argv[2])):
        account = await store.account(f"user{number}")
        inbox = await account.mailbox("INBOX")
        print(inbox.uid_validity, flush=True)
    await store.close()

asyncio.run(main())
"""


def test_several_processes_make_one_store_and_its_accounts_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "store"), str(ACCOUNT_COUNT)]
    processes = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(PROCESS_COUNT)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=50) for process in processes]
    assert [errors for _, errors in answers] == [""] * PROCESS_COUNT
    assert len({output for output, _ in answers}) == 1, "all see the same accounts"
    assert len(set(answers[0][0].split())) == ACCOUNT_COUNT
