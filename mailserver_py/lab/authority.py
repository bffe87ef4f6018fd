"""The certificate authority: pebble, the ACME test server of Let's Encrypt (RFC 8555, RFC 9773), at https://acme.test/dir.

Its root is new each time it starts, so the hosts that shall believe it are made after it. It resolves names by the
lab's resolver and connects to port 80 or 443 as the real one does.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from mailserver_py.errors import WorldError

from .certificates import KeyPair, issue
from .host import BOOT_S, Host, HostPlan
from .images import INFRASTRUCTURE
from .names import AUTHORITY, RESOLVER
from .texts import render, source

NAME = "acme"
DIRECTORY = "https://acme.test/dir"
MANAGEMENT = f"https://{AUTHORITY}:15000"
# Let's Encrypt's ninety days.
CERTIFICATE_S = 90 * 86_400


def plan() -> HostPlan:
    """The host of the certificate authority."""
    return HostPlan(NAME, AUTHORITY, INFRASTRUCTURE)


@dataclass(frozen=True)
class Authority:
    """The host that pebble runs on."""

    host: Host

    def furnish(self, vouched: KeyPair, directory: str = DIRECTORY) -> None:
        """Before it boots: configuration, and the endpoint's certificate from the lab's authority.

        `directory` is the URL at which it shall answer, in place of a real authority.
        """
        name, path = urlsplit(directory).hostname or "", urlsplit(directory).path
        pair = issue(vouched, dict.fromkeys(["acme.test", name or "acme.test", "localhost", AUTHORITY]))
        elsewhere = path != urlsplit(DIRECTORY).path
        self.host.write("etc/pebble/cert.pem", pair.certificate)
        self.host.write("etc/pebble/key.pem", pair.key, mode=0o600)
        config = {
            "listenAddress": "127.0.0.1:14000" if elsewhere else ":443",
            "managementListenAddress": f"{AUTHORITY}:15000",
            "certificate": "/etc/pebble/cert.pem",
            "privateKey": "/etc/pebble/key.pem",
            "httpPort": 80,
            "tlsPort": 443,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": False,
            "certificateValidityPeriod": CERTIFICATE_S,
        }
        self.host.write("etc/pebble/config.json", json.dumps({"pebble": config}, indent=1))
        self.host.write("etc/systemd/system/pebble.service", render("pebble.service", resolver=RESOLVER))
        wants = self.host.root / "etc/systemd/system/multi-user.target.wants"
        (wants / "pebble.service").symlink_to("/etc/systemd/system/pebble.service")
        if elsewhere:
            self.host.write("usr/local/lib/directory_door.py", source("directory_door.py"))
            self.host.write(
                "etc/systemd/system/directory-door.service", render("directory-door.service", path=path)
            )
            (wants / "directory-door.service").symlink_to("/etc/systemd/system/directory-door.service")
        for unit in ("knot", "unbound"):
            (wants / f"{unit}.service").unlink(missing_ok=True)

    def fetch_root(self) -> str:
        """The root that signs what ACME clients get, in PEM, as soon as pebble answers."""
        url = f"{MANAGEMENT}/roots/0"
        deadline = time.monotonic() + BOOT_S
        while time.monotonic() < deadline:
            got = self.host.attempt("curl", "--silent", "--insecure", "--max-time", "2", url)
            if got.returncode == 0 and "BEGIN CERTIFICATE" in got.stdout:
                return got.stdout.strip() + "\n"
            time.sleep(0.03)
        raise WorldError(
            f"the lab's certificate authority does not answer; see `journalctl -u pebble` on {NAME}"
        )
