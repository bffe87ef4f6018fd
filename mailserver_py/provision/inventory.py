"""A site's folder as pyinfra's host list: `inventories/<site>/hosts.py` is two lines that call `hosts`.

Host data holds the site and the name, never a secret: pyinfra prints host data, and hands copies around. A wrong spec
is an InventoryError with all its reasons, which pyinfra prints without a traceback.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pyinfra.api.exceptions import InventoryError

from mailserver_py.errors import OperatorError
from mailserver_py.spec.host_keys import is_pinned, known_hosts, ssh_address
from mailserver_py.spec.load import Site, load_site
from mailserver_py.spec.model import Host

from . import transport

__all__ = ["hosts", "transport"]

COMMAND_S = 600
"""The longest command, installing packages over a slow line, takes minutes; more is a hang."""


def hosts(inventory_file: str) -> list[tuple[str, dict[str, Any]]]:
    """pyinfra's hosts for the site whose folder holds `inventory_file`."""
    try:
        site = load_site(Path(inventory_file).parent)
        return [(name, _data(site, name, host)) for name, host in site.spec.hosts.items()]
    except OperatorError as error:
        raise InventoryError("\n" + str(error)) from None


def _data(site: Site, name: str, host: Host) -> dict[str, Any]:
    ssh = host.ssh
    data: dict[str, Any] = {
        "site": site,
        "hostname": name,
        "ssh_hostname": ssh_address(name, host),
        "ssh_port": ssh.port,
        "ssh_user": ssh.user,
        "ssh_known_hosts_file": str(known_hosts(site, name, host)),
        # With a key in the spec nothing else is believed; without one the first sight is, and pinned.
        "ssh_strict_host_key_checking": "yes" if is_pinned(host) else "accept-new",
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
