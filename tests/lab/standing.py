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

    def verify(self, *only: str) -> Look:
        """What the checks find, all of them or some."""
        chosen = [word for check in only for word in ("--only", check)]
        out, err, status = self._run("verify", str(self.target.folder), "--json", *chosen)
        assert out, err
        return Look(status, json.loads(out)["results"])

    def _run(self, *words: str) -> tuple[str, str, int]:
        """Output, errors and exit status of `mailserver …` in the lab."""
        command = [str(Path(sys.executable).parent / "mailserver"), *words]
        done = subprocess.run(
            self.lab.inside(command),
            cwd=ROOT,
            env=self.target.environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        return done.stdout, done.stderr, done.returncode

    def verify_on_host(self, *only: str) -> Look:
        """What the host finds by its own unit, as `mailserver status` tells it."""
        chosen = "".join(f" --only {check}" for check in only)
        unit = "/run/systemd/system/mailserver-verify.service.d"
        command = f"/opt/mailserver/current/bin/mailserver verify --on-host{chosen}"
        self.sh(f"mkdir -p {unit}; printf '[Service]\nExecStart=\nExecStart={command}\n' >{unit}/only.conf")
        self.sh("systemctl daemon-reload; systemctl start mailserver-verify.service")
        self.sh(f"rm -r {unit}; systemctl daemon-reload")
        out, err, status = self._run("status", str(self.target.folder), "--json")
        assert out, err
        (told,) = json.loads(out)
        assert told["verdict"] is not None, told["trouble"]
        return Look(status, told["verdict"]["results"])

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
        restart = "systemctl reset-failed unbound; systemctl restart unbound"  # often is no failure here
        self.lab.nameserver.host.run("sh", "-ec", restart)

    # ---------------------------------------------------------------- its secrets

    @property
    def secrets(self) -> dict[str, str]:
        """Every secret of the site, opened."""
        keys, who = SiteKeys.load(self.target.site), site_files.identities(self.target.site)
        return {name: keys.open(name, who).decode() for name in keys.names()}

    def password(self, address: str) -> str:
        return str(json.loads(self.secrets[password_secret(address)])["password"])
