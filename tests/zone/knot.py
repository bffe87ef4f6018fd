"""A real Knot on loopback for the tests of publishing; skips, saying why, where it is not installed."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dns.message
import dns.query
import pytest

SECRET = "c2VjcmV0IG9mIHRoZSB0ZXN0cywgbm90IG9mIGFueWJvZHk="
KEY = "publisher"

FORWARD = """\
$ORIGIN example.org.
@ 3600 SOA ns hostmaster 1 3600 600 86400 300
@ 3600 NS ns
ns 3600 A 127.0.0.1
www 3600 A 198.51.100.80
@ 3600 TXT "site-verification=abc"
"""

REVERSE = """\
$ORIGIN 2.0.192.in-addr.arpa.
@ 3600 SOA ns.example.org. hostmaster.example.org. 1 3600 600 86400 300
@ 3600 NS ns.example.org.
"""


@dataclass(frozen=True)
class Knot:
    """Where it listens."""

    port: int
    address: str = "127.0.0.1"

    @property
    def server(self) -> str:
        return f"{self.address}:{self.port}"

    def ask(self, name: str, rdtype: str) -> set[str]:
        """What it says now, as record texts."""
        query = dns.message.make_query(name, rdtype)
        response = dns.query.tcp(query, self.address, 5, self.port)
        return {rdata.to_text() for rrset in response.answer for rdata in rrset}


@contextmanager
def running_knot(
    folder: Path,
    *,
    actions: str = "[update, transfer]",
    reverse: bool = True,
    address: str = "127.0.0.1",
    port: int = 0,
) -> Iterator[Knot]:
    """One server with its own folder; stopped by its own process id."""
    program = shutil.which("knotd", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if program is None:
        pytest.skip("needs knotd (Debian package knot)")
    port = port or _free_port()
    (folder / "example.org.zone").write_text(FORWARD.replace("127.0.0.1", address))
    (folder / "reverse.zone").write_text(REVERSE)
    zones = {"example.org": "example.org.zone"} | (
        {"2.0.192.in-addr.arpa": "reverse.zone"} if reverse else {}
    )
    (folder / "knot.conf").write_text(
        f"server:\n    listen: {address}@{port}\n    rundir: {folder}\n"
        f"database:\n    storage: {folder}\n"
        f"key:\n  - id: {KEY}\n    algorithm: hmac-sha256\n    secret: {SECRET}\n"
        f"acl:\n  - id: ours\n    key: {KEY}\n    action: {actions}\n"
        "zone:\n"
        + "".join(
            f"  - domain: {zone}\n    file: {folder / file}\n    acl: ours\n    zonefile-sync: -1\n"
            "    zonefile-load: difference-no-serial\n    journal-content: all\n"
            for zone, file in zones.items()
        )
    )
    log = (folder / "log").open("wb")
    process = subprocess.Popen([program, "-c", folder / "knot.conf"], stdout=log, stderr=log)
    try:
        _wait(Knot(port, address), process, folder / "log")
        yield Knot(port, address)
    finally:
        process.terminate()
        process.wait(10)
        log.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(knot: Knot, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(200):
        if process.poll() is not None:
            break
        try:
            query = dns.message.make_query("example.org", "SOA")
            if dns.query.udp(query, knot.address, 0.2, knot.port).answer:
                return
        except (OSError, dns.exception.Timeout):
            pass
        time.sleep(0.05)
    pytest.fail(f"knotd did not start: {log.read_text()[-1000:]}")
