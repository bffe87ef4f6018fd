from __future__ import annotations

from pathlib import Path

import pytest
from pyinfra.api.exceptions import InventoryError

from mailserver_py.provision.inventory import hosts

SPEC = """
domains: {example.org: {}}
hosts:
  mx1.example.org:
    ipv4: 203.0.113.7
    ssh: {SSH}
accounts: {alice@example.org: {}}
"""


def _site(folder: Path, ssh: str = "{}") -> str:
    (folder / "mail.yaml").write_text(SPEC.replace("{SSH}", ssh))
    return str(folder / "hosts.py")


def test_a_host_is_reached_at_its_public_address(tmp_path: Path) -> None:
    ((name, data),) = hosts(_site(tmp_path))
    assert name == data["hostname"] == "mx1.example.org"
    assert data["ssh_hostname"] == "203.0.113.7"
    assert data["_sudo"] is False


def test_another_user_becomes_root_by_sudo(tmp_path: Path) -> None:
    ((_, data),) = hosts(_site(tmp_path, "{user: admin, port: 2222, address: 192.0.2.9}"))
    assert (data["ssh_user"], data["ssh_port"], data["ssh_hostname"], data["_sudo"]) == (
        "admin",
        2222,
        "192.0.2.9",
        True,
    )


def test_a_host_key_in_the_spec_is_the_only_one_believed(tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text("203.0.113.7 ssh-ed25519 OLD\n192.0.2.1 ssh-ed25519 OTHER\n")
    ((_, data),) = hosts(_site(tmp_path, "{host_key: 'ssh-ed25519 AAAA comment'}"))
    assert data["ssh_strict_host_key_checking"] == "yes"
    assert known.read_text().splitlines() == ["192.0.2.1 ssh-ed25519 OTHER", "203.0.113.7 ssh-ed25519 AAAA"]


def test_a_host_key_that_was_seen_first_is_pinned_beside_the_sites_keys(tmp_path: Path) -> None:
    ((_, data),) = hosts(_site(tmp_path))
    assert data["ssh_strict_host_key_checking"] == "accept-new"
    assert data["ssh_known_hosts_file"] == str(tmp_path / "known_hosts")


def test_a_wrong_spec_is_told_with_all_its_reasons_and_no_traceback(tmp_path: Path) -> None:
    file = _site(tmp_path)
    spec = tmp_path / "mail.yaml"
    spec.write_text(spec.read_text().replace("ipv4: 203.0.113.7", "ipv4: nonsense") + "limts: {}\n")
    with pytest.raises(InventoryError) as refused:
        hosts(file)
    assert "ipv4" in str(refused.value)
    assert "limts" in str(refused.value)


def test_an_ssh_key_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="nokey does not exist"):
        hosts(_site(tmp_path, "{key: nokey}"))
