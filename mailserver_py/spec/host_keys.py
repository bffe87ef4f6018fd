"""The SSH keys by which the operator knows the hosts: pinned in `known_hosts`, beside the site's secrets.

Whoever speaks SSH to a host (deploy, status) believes the same file, so that what one has pinned the other knows.
"""

from __future__ import annotations

import os
from pathlib import Path

from .load import Site
from .model import Host

KNOWN_HOSTS = "known_hosts"
"""Beside the site's keys: pinned host keys travel with the site."""
REHEARSED_VARIABLE = "MAILSERVER_KNOWN_HOSTS"
"""Set by `mailserver lab exec`: keys of the hosts that stand in for the site's, believed instead of its own pins."""


def ssh_address(name: str, host: Host) -> str:
    """Where SSH to a host goes."""
    return host.ssh.address or str(host.ipv4 or host.ipv6 or name)


def is_pinned(host: Host) -> bool:
    """Whether no key may be believed at first sight."""
    return bool(host.ssh.host_key or os.environ.get(REHEARSED_VARIABLE))


def known_hosts(site: Site, name: str, host: Host) -> Path:
    """The file of host keys that are believed, with the spec's key for this host in it."""
    if rehearsed := os.environ.get(REHEARSED_VARIABLE):
        return Path(rehearsed)
    file = (site.folder / site.spec.secrets.folder).resolve() / KNOWN_HOSTS
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    if host.ssh.host_key:
        address, port = ssh_address(name, host), host.ssh.port
        believed = address if port == 22 else f"[{address}]:{port}"
        kind, _, rest = host.ssh.host_key.strip().partition(" ")
        wanted = f"{believed} {kind} {rest.split()[0] if rest else ''}"
        if wanted not in lines:
            lines = [line for line in lines if line.split()[:1] != [believed]] + [wanted]
            file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    elif not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return file
