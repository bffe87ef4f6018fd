"""Seconds of `pyinfra hosts.py deploy.py` on settled hosts of a lab: one, two and four of them at once.

Needs root and what the lab needs. The lab is one of its own, made and taken down here. "Settled" is a deploy that finds
nothing to change; the first one, on fresh hosts, is shown beside it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from mailserver_py.errors import OperatorError
from mailserver_py.lab import preconditions, site_files
from mailserver_py.lab.lab import Lab
from mailserver_py.lab.names import Names, ipv6_of
from mailserver_py.spec.load import Site, load_site

from .figures import Figure
from .hosts import MailHost

ROOT = Path(__file__).parents[1]
LAB_NAME = "bench"
HOST_COUNTS = (1, 2, 4)
FIRST_ADDRESS = IPv4Address("10.88.0.20")
COMMAND_LIMIT_S = 600
_TOTAL = re.compile(r"Grand total\s+(\d+)")


@dataclass(frozen=True)
class Deployment:
    """A site in a lab."""

    lab: Lab
    site: Site

    def command(self, *words: str) -> str:
        """Runs one of the operator's commands inside the lab; what it said. Raises RuntimeError."""
        identity = site_files.identity_environment(self.site)
        done = subprocess.run(
            self.lab.inside([sys.executable, *words]),
            cwd=ROOT,
            env={**os.environ, **self.lab.environment, **identity, "NO_COLOR": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_LIMIT_S,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)} failed:\n{done.stdout[-3000:]}")
        return done.stdout

    def publish(self) -> None:
        """The records, without which the authority gives no certificate."""
        program = "from mailserver_py.cli import main; main()"
        self.command("-c", program, "publish", str(self.site.folder), "--yes")

    def deploy(self) -> tuple[float, str]:
        """One deploy: seconds, and what it said."""
        began_s = time.perf_counter()
        text = self.command("-m", "pyinfra", str(self.site.folder / "hosts.py"), "deploy.py", "-y")
        return time.perf_counter() - began_s, text


def measure(sides: Sequence[MailHost], rounds: int, *, fast: bool = False) -> Iterator[Figure]:
    """Deploys to growing sites in one lab."""
    del sides
    try:
        preconditions.check()
    except OperatorError as error:
        yield Figure("deploy to settled hosts", "s", note=f"not measured: {error}")
        return
    lab = Lab(Names(LAB_NAME), lambda text: print(text, file=sys.stderr))
    with tempfile.TemporaryDirectory(prefix="mailserver-bench-") as folder:
        for count in HOST_COUNTS[:1] if fast else HOST_COUNTS:
            try:
                yield from measure_hosts(lab, Path(folder) / f"hosts{count}", count, rounds)
            finally:
                lab.down()


def measure_hosts(lab: Lab, folder: Path, count: int, rounds: int) -> Iterator[Figure]:
    """A site of so many hosts, deployed once and then again."""
    site = make_site(folder, count)
    lab.up(site)
    deployment = Deployment(lab, site)
    deployment.publish()
    hosts = "1 host" if count == 1 else f"{count} hosts"
    first = Figure(f"first deploy, {hosts}", "s", higher_is_better=False)
    first.ours.append(deployment.deploy()[0])
    yield first
    settled = Figure(f"deploy to what is settled, {hosts}", "s", higher_is_better=False)
    for _ in range(rounds):
        seconds, text = deployment.deploy()
        settled.ours.append(seconds)
        if total := _TOTAL.search(text):
            settled.note = f"{total[1]} operations looked at"
    yield settled


def make_site(folder: Path, count: int) -> Site:
    """The lab's own site with so many hosts; its keys are made when the lab comes up."""
    folder.mkdir()
    shutil.copy(ROOT / "inventories/lab/hosts.py", folder)
    text = (ROOT / "inventories/lab/mail.yaml").read_text()
    before, hosts, after = re.split(r"(?s)(?<=^hosts:\n)(.*?)(?=^\S)", text, maxsplit=1, flags=re.MULTILINE)
    blocks = [
        hosts.replace("mx1.", f"mx{number}.")
        .replace("10.88.0.10", str(FIRST_ADDRESS + number))
        .replace("fd88::a", str(ipv6_of(FIRST_ADDRESS + number)))
        for number in range(1, count + 1)
    ]
    (folder / "mail.yaml").write_text(before + "".join(blocks) + after)
    return load_site(folder)
