"""What one host shall become: its slice of the spec, its secrets, its release; a value that the steps read.

Secrets are decrypted when a step first asks for them, only this host's, and stand in no host data, plan or `repr`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from mailserver_py.spec.listeners import open_listeners
from mailserver_py.spec.model import Host, MailSpec, Model
from mailserver_py.spec.settings import HostSettings
from mailserver_py.spec.verification import VerificationSlice

from .release import Release

STATE = "/var/lib/mailserver"
TLS = "/var/lib/mailserver-tls"
RUNTIME = "/run/mailserver"
SETTINGS = "/etc/mailserver"
CREDENTIALS = "/etc/credstore/mailserver"
RELEASES = "/opt/mailserver/releases"
CURRENT = "/opt/mailserver/current"
UNITS = "/etc/systemd/system"
CHAIN = f"{SETTINGS}/fullchain.pem"
"""The operator's own certificate (`tls.source: files`), for the certificate job to take up."""

HTTP_PORT = 80
"""Where the certificate authority asks for its token (RFC 8555 §8.3)."""


@dataclass(frozen=True, slots=True)
class Door:
    """A listening socket of the host: a row of `spec.listeners`, or the responder of HTTP-01."""

    name: str
    port: int
    protocol: str
    implicit_tls: bool = False

    @property
    def unit(self) -> str:
        return f"mailserver-{self.name}.socket"


@dataclass(frozen=True)
class Wish:
    """One host's wish."""

    site: str
    """The site's name, for texts."""
    hostname: str
    host: Host
    spec: MailSpec
    settings: HostSettings
    release: Release
    verification: VerificationSlice
    open_secrets: Callable[[], Mapping[str, bytes]] = field(repr=False)
    """Credential name → content."""
    certificate_chain: bytes = b""
    """The operator's own PEM chain, for `tls.source: files`."""
    trusted: Mapping[str, bytes] = field(default_factory=dict)
    """Certificates that the host's verification trusts, by path below `/etc/mailserver`."""
    wanted_release: str = ""
    """An older release to go back to: its id, or `previous`; empty: this checkout's."""

    @cached_property
    def secrets(self) -> Mapping[str, bytes]:
        return dict(sorted(self.open_secrets().items()))

    @cached_property
    def doors(self) -> tuple[Door, ...]:
        rows = [
            Door(row.name, row.port, row.protocol, row.implicit_tls)
            for row in open_listeners(self.spec.listeners)
        ]
        if self.spec.tls.source == "acme":
            rows.append(Door("http", HTTP_PORT, "http"))
        return tuple(rows)

    @property
    def tls_folder(self) -> str:
        return f"{TLS}/{self.hostname}"

    @property
    def settings_file(self) -> bytes:
        """`/etc/mailserver/settings.json`."""
        return _json(self.settings)

    @property
    def verification_file(self) -> bytes:
        """`/etc/mailserver/verification.json`."""
        return _json(self.verification)


def _json(model: Model) -> bytes:
    # Sorted and indented, so that equal wishes are equal octets, and a person can read them.
    data = model.model_dump(mode="json")
    return (json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
