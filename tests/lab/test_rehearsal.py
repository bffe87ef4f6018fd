"""Somebody's real site in the lab: its public addresses, its name server's, its authority's, and its way in."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailserver_py.errors import OperatorError
from mailserver_py.lab.lab import Lab
from mailserver_py.lab.names import Names
from mailserver_py.spec.load import Site, load_site

from .conftest import LAB_NAME

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

SPEC = """
domains: {example.org: {}}
hosts:
  mx1.example.org:
    ipv4: 192.0.2.10
    ipv6: 2001:db8::10
    ssh: {user: admin, port: 2222, key: made/operator_key}
accounts: {alice@example.org: {}}
dns:
  publish: rfc2136
  rfc2136: {server: 198.51.100.53, key_name: ops.example.org}
secrets: {folder: made}
"""


@pytest.fixture(scope="module")
def rehearsed(bootable: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Site]]:
    """A lab of its own: a lab holds one site."""
    folder = tmp_path_factory.mktemp("example")
    (folder / "mail.yaml").write_text(SPEC, encoding="utf-8")
    site, lab = load_site(folder), Lab(Names(f"{LAB_NAME}4"))
    try:
        lab.up(site)
        yield lab, site
    finally:
        assert not lab.down().render()


def test_the_host_answers_at_its_public_addresses_port_and_user(rehearsed: tuple[Lab, Site]) -> None:
    lab, site = rehearsed
    options = ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-p", "2222"]
    options += ["-o", f"UserKnownHostsFile={lab.environment['MAILSERVER_KNOWN_HOSTS']}"]
    options += ["-i", str(site.folder / "made/operator_key")]
    for address in ("192.0.2.10", "2001:db8::10"):
        said = lab.run("ssh", *options, f"admin@{address}", "sudo", "--non-interactive", "id", "--user")
        assert said.strip() == "0"


def test_the_sites_name_server_answers_where_the_spec_has_it(rehearsed: tuple[Lab, Site]) -> None:
    lab, _ = rehearsed
    ask = """
import dns.message, dns.query
answer = dns.query.udp(dns.message.make_query("example.org", "SOA"), "198.51.100.53", timeout=5)
print(answer.answer[0][0].mname)
"""
    assert lab.run(sys.executable, "-c", ask).strip() == "ns.test."


def test_the_labs_authority_stands_in_for_the_real_one(rehearsed: tuple[Lab, Site]) -> None:
    lab, site = rehearsed
    said = lab.host("mx1").run("curl", "--silent", "--fail", site.spec.tls.acme.directory)
    assert "https://acme-v02.api.letsencrypt.org/order-plz" in said


def test_reverse_names_of_public_addresses_are_set(rehearsed: tuple[Lab, Site]) -> None:
    lab, _ = rehearsed
    ask = "import dns.resolver as r; print(*r.resolve_address('192.0.2.10'))"
    assert lab.run(sys.executable, "-c", ask).strip() == "mx1.example.org."


def test_a_site_without_its_keys_is_told_to_make_them(bootable: None, tmp_path: Path) -> None:
    (tmp_path / "mail.yaml").write_text(
        SPEC.replace("secrets: {folder: made}", "").replace(", key: made/operator_key", "")
    )
    with pytest.raises(OperatorError, match="mailserver keys"):
        Lab(Names(f"{LAB_NAME}5")).up(load_site(tmp_path))
    assert not (tmp_path / "secrets").exists()
