"""Deploying to real hosts in tests: a site of the test's own for a fresh host, and runs of pyinfra against it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from mailserver_py.lab import site_files
from mailserver_py.lab.host import Host
from mailserver_py.lab.lab import Lab
from mailserver_py.lab.names import ipv6_of
from mailserver_py.spec.keys import make_keys
from mailserver_py.spec.load import Site, load_site

ROOT = Path(__file__).parents[2]

# Where a deploy writes, and what else it must leave alone.
WATCHED = "/etc /opt /usr /root /home /var/lib /var/spool /run/mailserver"


@dataclass(frozen=True)
class Run:
    """One run of pyinfra."""

    status: int
    text: str
    seconds: float

    @property
    def changed(self) -> list[str]:
        """The operations that changed something."""
        found = re.findall(
            r"^    (.+?) +\d+ +\d+ +\S+ +\S+ *$", self.text.partition("Results:")[2], re.MULTILINE
        )
        return [name for name in found if name != "Grand total"]

    @property
    def plan(self) -> str:
        return self.text.partition("Preparing")[2]


@dataclass(frozen=True)
class Target:
    """A host of the lab and the site that is deployed to it."""

    lab: Lab
    host: Host
    folder: Path

    def command(self, *options: str) -> list[str]:
        pyinfra = [sys.executable, "-m", "pyinfra", str(self.folder / "hosts.py"), "deploy.py", *options]
        return self.lab.inside(pyinfra)

    @property
    def environment(self) -> dict[str, str]:
        identity = site_files.identity_environment(self.site)
        return {**os.environ, **self.lab.environment, **identity, "NO_COLOR": "1"}

    @property
    def site(self) -> Site:
        return load_site(self.folder)

    def deploy(self, *options: str) -> Run:
        began = time.monotonic()
        done = subprocess.run(
            self.command(*(options or ("-y",))),
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
        )
        return Run(done.returncode, done.stdout, time.monotonic() - began)

    def deploy_and_die(self, operation: str, after_s: float) -> None:
        """Starts a deploy and kills it, hard, so long after the named operation began."""
        child = subprocess.Popen(
            self.command("-y"),
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            assert child.stdout is not None
            for line in child.stdout:
                if f"Starting operation: {operation}" in line:
                    time.sleep(after_s)
                    break
        finally:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()

    def publish(self) -> None:
        command = [str(Path(sys.executable).parent / "mailserver"), "publish", str(self.folder), "--yes"]
        subprocess.run(
            self.lab.inside(command),
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            timeout=60,
            check=True,
        )

    def edit(self, old: str, new: str) -> None:
        """Changes the spec's text, and makes the keys that this implies."""
        file = self.folder / "mail.yaml"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
        make_keys(self.site, identities=site_files.identities(self.site))

    def sh(self, script: str) -> str:
        return self.host.run("sh", "-ec", script)

    def state(self) -> str:
        """Every path where a deploy could write: type, mode, owner, size and time."""
        return self.sh(f"find {WATCHED} -xdev ! -path '*/journal*' -printf '%y %m %u %s %T@ %p %l\\n' | sort")


def make_target(lab: Lab, site: Site, host: Host, folder: Path) -> Target:
    """The lab's site with `host` as its only one."""
    shutil.copytree(site.folder, folder)
    file = folder / "mail.yaml"
    text = file.read_text()
    for old, new in (
        ("mx1.lab.test:", f"{host.plan.name}:"),
        ("10.88.0.10", str(host.plan.address)),
        ("fd88::a\n", f"{ipv6_of(host.plan.address)}\n"),
    ):
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)
    (folder / "site/known_hosts").unlink(missing_ok=True)
    shutil.copy(lab.key, folder / "site/operator_key")
    made = load_site(folder)
    make_keys(made, identities=site_files.identities(made))
    return Target(lab, host, folder)
