"""Letters accepted durably, and visible by IMAP, per second: ours, and Postfix with Dovecot where `--theirs`
points.

    python -m benchmarks.intake [--letters 4000] [--sessions 20] [--theirs HOST:SMTP:IMAP:USER:PASSWORD …]

A figure is from one run on one machine; both sides take their turn in the same run. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import imaplib
import json
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mailserver_py.daemon.sandbox import Plan, Sandbox
from mailserver_py.spec.model import MailSpec
from mailserver_py.spec.settings import derive_settings

PASSWORD = "benchmark"
ACCOUNTS_COUNT = 20
VISIBLE_LIMIT_S = 300.0


def make_host(folder: Path, accounts: Sequence[str]) -> Sandbox:
    """Our server with two workers and a queue, as on a host with two cores."""
    spec = MailSpec.model_validate(
        {
            "domains": {"example.org": {}},
            "hosts": {"mx1.example.org": {"ipv4": "127.0.0.1"}},
            "accounts": {account: {} for account in accounts},
            "listeners": {"imap": True},
            "tls": {"source": "self-signed"},
            "limits": {"connections_per_address": 10_000},
        }
    )
    settings = derive_settings(spec, "mx1.example.org", {})
    sandbox = Sandbox(folder, Plan(settings, dict.fromkeys(settings.accounts, PASSWORD), {}))
    sandbox.open()
    sandbox.write_rehearsal({}, {})
    sandbox.start()
    return sandbox


def measure(
    smtp: tuple[str, int],
    recipients: Sequence[str],
    count: Callable[[], int],
    chosen: argparse.Namespace,
) -> dict[str, object]:
    """One run: the load in another process, while this one waits for the letters to be visible."""
    before = count()
    command = [sys.executable, str(Path(__file__).with_name("load.py")), smtp[0], str(smtp[1]), *recipients]
    command += [
        "--sessions",
        str(chosen.sessions),
        "--letters",
        str(chosen.letters),
        "--size",
        str(chosen.size),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    end = time.time() + VISIBLE_LIMIT_S
    while count() - before < result["accepted"] and time.time() < end:
        time.sleep(0.02)
    visible_s = time.time() - result["started_at_s"]
    return {
        "accepted": result["accepted"],
        "visible": count() - before,
        "accepted_per_s": round(result["accepted"] / result["seconds"]),
        "visible_per_s": round((count() - before) / visible_s),
        "worst_ms": result["worst_ms"],
        "errors": result["errors"],
    }


def counter(address: str, port: int, logins: Sequence[tuple[str, str]]) -> Callable[[], int]:
    """Counts the messages of the inboxes, over connections that stay open."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    clients = []
    for user, password in logins:
        client = imaplib.IMAP4(address, port)
        client.starttls(context)
        client.login(user, password)
        clients.append(client)

    def count() -> int:
        total = 0
        for client in clients:
            _, (line,) = client.status("INBOX", "(MESSAGES)")
            total += int(line.rpartition(b" ")[2].rstrip(b")"))
        return total

    return count


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--letters", type=int, default=4_000)
    parser.add_argument("--size", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--theirs", metavar="HOST:SMTP:IMAP:PASSWORD:USER,…", help="a server to measure beside ours"
    )
    chosen = parser.parse_args()
    accounts = [f"user{number}@example.org" for number in range(ACCOUNTS_COUNT)]
    with tempfile.TemporaryDirectory(prefix="mailserver-intake-") as folder:
        sandbox = make_host(Path(folder), accounts)
        try:
            count = counter("127.0.0.1", sandbox.ports["imap"], [(name, PASSWORD) for name in accounts])
            for _ in range(chosen.rounds):
                print(
                    "ours  ",
                    json.dumps(measure(("127.0.0.1", sandbox.ports["smtp"]), accounts, count, chosen)),
                )
                if chosen.theirs:
                    host, smtp, imap, password, users = chosen.theirs.split(":")
                    names = users.split(",")
                    theirs = counter(host, int(imap), [(name, password) for name in names])
                    print("theirs", json.dumps(measure((host, int(smtp)), names, theirs, chosen)))
        finally:
            sandbox.stop()


if __name__ == "__main__":
    main()
