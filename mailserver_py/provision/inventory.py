"""A site's folder as pyinfra's host list: `inventories/<site>/hosts.py` is two lines that call `hosts`.

Host data holds the site and the name, never a secret: pyinfra prints host data, and hands copies around. A wrong spec
is an InventoryError with all its reasons, which pyinfra prints without a traceback.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pyinfra.api.exceptions import InventoryError

from mailserver_py.errors import OperatorError
from mailserver_py.spec.load import Site, load_site
from mailserver_py.spec.model import Host

from . import transport

__all__ = ["hosts", "transport"]

COMMAND_S = 600
"""The longest command, installing packages over a slow line, takes minutes; more is a hang."""
KNOWN_HOSTS = "known_hosts"
"""Beside the site's keys: pinned host keys travel with the site."""
REHEARSED_VARIABLE = "MAILSERVER_KNOWN_HOSTS"
"""Set by `mailserver lab exec`: keys of the hosts that stand in for the site's, believed instead of its own pins."""


def hosts(inventory_file: str) -> list[tuple[str, dict[str, Any]]]:
    """pyinfra's hosts for the site whose folder holds `inventory_file`."""
    try:
        site = load_site(Path(inventory_file).parent)
        return [(name, _data(site, name, host)) for name, host in site.spec.hosts.items()]
    except OperatorError as error:
        raise InventoryError("\n" + str(error)) from None


def _data(site: Site, name: str, host: Host) -> dict[str, Any]:
    ssh = host.ssh
    rehearsed = os.environ.get(REHEARSED_VARIABLE, "")
    address = ssh.address or str(host.ipv4 or host.ipv6 or name)
    data: dict[str, Any] = {
        "site": site,
        "hostname": name,
        "ssh_hostname": address,
        "ssh_port": ssh.port,
        "ssh_user": ssh.user,
        "ssh_known_hosts_file": rehearsed or str(_known_hosts(site, address, ssh.port, ssh.host_key)),
        # With a key in the spec nothing else is believed; without one the first sight is, and pinned.
        "ssh_strict_host_key_checking": "yes" if ssh.host_key or rehearsed else "accept-new",
        "_timeout": COMMAND_S,
        "_sudo": ssh.user != "root",
    }
    if ssh.key:
        data["ssh_key"] = str(_key_file(site, ssh.key))
    return data


def _key_file(site: Site, key: str) -> Path:
    file = (site.folder / Path(key).expanduser()).resolve()
    if not file.is_file():
        raise OperatorError(f"the SSH key {file} does not exist: `ssh.key` is relative to {site.folder}")
    return file


def _known_hosts(site: Site, address: str, port: int, host_key: str | None) -> Path:
    """The site's file of pinned host keys, with the spec's key in it."""
    file = (site.folder / site.spec.secrets.folder).resolve() / KNOWN_HOSTS
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    if host_key:
        name = address if port == 22 else f"[{address}]:{port}"
        kind, _, rest = host_key.strip().partition(" ")
        wanted = f"{name} {kind} {rest.split()[0] if rest else ''}"
        if wanted not in lines:
            lines = [line for line in lines if line.split()[:1] != [name]] + [wanted]
            file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    elif not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return file
