"""A site that stands: deployed once, its records published, and looked at as its operator would look at it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailserver_py.lab import site_files
from mailserver_py.lab.host import Host
from mailserver_py.lab.lab import Lab
from mailserver_py.lab.nameserver import reverse_zone
from mailserver_py.spec.keys import SiteKeys, password_secret

from .provisioning import ROOT, Run, Target

DOMAIN = "lab.test"
ALICE, BOB = f"alice@{DOMAIN}", f"bob@{DOMAIN}"


@dataclass(frozen=True)
class Look:
    """One verification: its exit status and what it found."""

    status: int
    results: Sequence[dict[str, Any]]

    @classmethod
    def parse(cls, status: int, text: str) -> Look:
        return cls(status, json.loads(text)["results"])

    @property
    def findings(self) -> list[dict[str, str]]:
        return [finding for result in self.results for finding in result["findings"]]

    @property
    def codes(self) -> set[str]:
        """The codes of what is wrong, or could not be told."""
        return {finding["code"] for finding in self.findings}

    @property
    def ran(self) -> list[str]:
        """The checks that looked."""
        return [result["check"] for result in self.results if not result["skipped"]]


@dataclass(frozen=True)
class Standing:
    """One deployed host of the lab's site."""

    target: Target
    first: Run
    """The first deploy."""

    @property
    def lab(self) -> Lab:
        return self.target.lab

    @property
    def host(self) -> Host:
        return self.target.host

    @property
    def name(self) -> str:
        return self.host.plan.name

    def sh(self, script: str) -> str:
        return self.target.sh(script)

    # ---------------------------------------------------------------- the operator's commands

    def start(self, *words: str) -> subprocess.Popen[str]:
        """`mailserver …` in the lab."""
        command = [str(Path(sys.executable).parent / "mailserver"), *words]
        return subprocess.Popen(
            self.lab.inside(command),
            cwd=ROOT,
            env=self.target.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def start_verify(self, *only: str) -> subprocess.Popen[str]:
        chosen = [word for check in only for word in ("--only", check)]
        return self.start("verify", str(self.target.folder), "--json", *chosen)

    def verify(self, *only: str) -> Look:
        """What the checks find, all of them or some."""
        return ended(self.start_verify(*only))

    def verify_on_host(self) -> Look:
        """What the host finds by its own unit, as `mailserver status` tells it."""
        self.sh("systemctl start mailserver-verify.service")
        child = self.start("status", str(self.target.folder), "--json")
        out, err = child.communicate(timeout=60)
        assert out, err
        (told,) = json.loads(out)
        assert told["verdict"] is not None, told["trouble"]
        return Look(child.returncode, told["verdict"]["results"])

    # ---------------------------------------------------------------- its names

    def publish(self) -> None:
        """Makes the site's records this host's: the hosts of other tests share the zone."""
        for address in self.host.plan.addresses:
            self.lab.nameserver.set_record(
                address.reverse_pointer, "PTR", f"{self.name}.", zone=reverse_zone(address)
            )
        self.target.publish()
        self.forget_answers()

    def forget_answers(self) -> None:
        """Empties the resolver's cache, instead of waiting for the records' time to live."""
        self.lab.nameserver.host.run("systemctl", "restart", "unbound")

    # ---------------------------------------------------------------- its secrets

    @property
    def secrets(self) -> dict[str, str]:
        """Every secret of the site, opened."""
        keys, who = SiteKeys.load(self.target.site), site_files.identities(self.target.site)
        return {name: keys.open(name, who).decode() for name in keys.names()}

    def password(self, address: str) -> str:
        return str(json.loads(self.secrets[password_secret(address)])["password"])


def ended(child: subprocess.Popen[str]) -> Look:
    """What a verification that was started found."""
    out, err = child.communicate(timeout=180)
    assert out, err
    return Look.parse(child.returncode, out)
