"""The lab itself: what stands, what is closed, what goes wrong on purpose, and that nothing stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from mailserver_py.errors import OperatorError
from mailserver_py.lab import cgroups, remains, site_files
from mailserver_py.lab.commands import run
from mailserver_py.lab.lab import Lab
from mailserver_py.lab.names import NAMESPACES, Names
from mailserver_py.spec.load import Site

from .conftest import LAB_NAME, FreshHost, copy_site

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

PROBE = """
import sys, json, dns.flags, dns.resolver
resolver = dns.resolver.Resolver()
resolver.use_edns(0, dns.flags.DO, 1232)
answer = resolver.resolve(sys.argv[1], sys.argv[2], raise_on_no_answer=False)
texts = [rdata.to_text() for rdata in answer.rrset or ()]
print(json.dumps([texts, bool(answer.response.flags & dns.flags.AD)]))
"""

CONNECT = """
import socket, sys
socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3])).close()
"""


def ask(lab: Lab, name: str, rdtype: str) -> tuple[list[str], bool]:
    """What the lab's resolver says, and whether it vouches for it."""
    texts, vouched = json.loads(lab.run(sys.executable, "-c", PROBE, name, rdtype))
    return texts, vouched


def connects(lab: Lab, address: object, port: int, timeout_s: float = 2) -> bool:
    argv = lab.inside([sys.executable, "-c", CONNECT, str(address), str(port), str(timeout_s)])
    return subprocess.run(argv, capture_output=True, timeout=30, check=False).returncode == 0


# ---------------------------------------------------------------- up


def test_a_second_up_changes_nothing_and_is_quick(site_lab: Lab, site: Site) -> None:
    before = {host.plan.name: host.leader for host in site_lab.hosts()}
    began = time.monotonic()
    steps = site_lab.up(site)
    assert all(step.reused for step in steps)
    assert time.monotonic() - began < 5
    assert {host.plan.name: host.leader for host in site_lab.hosts()} == before


def test_a_host_that_died_is_booted_by_the_next_up(site_lab: Lab, site: Site) -> None:
    site_lab.host("mx1").kill()
    assert site_lab.host("mx1").leader is None
    site_lab.up(site)
    assert site_lab.host("mx1").listens(22)


def test_a_lab_refuses_a_second_site(site_lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="holds site 'lab'"):
        site_lab.up(copy_site(tmp_path / "other"))


def test_the_operator_gets_in_by_ssh_with_the_key_of_the_spec(site_lab: Lab, site: Site) -> None:
    key = site.folder / "site/operator_key"
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"]
    said = site_lab.run("ssh", "-i", str(key), *options, "root@10.88.0.10", "hostname", "--fqdn")
    assert said.strip() == "mx1.lab.test"


@pytest.mark.parametrize(("release", "version"), [("bookworm", "12"), ("trixie", "13")])
def test_fresh_hosts_run_the_debian_that_was_asked_for(
    fresh_host: FreshHost, release: str, version: str
) -> None:
    host = fresh_host("box.lab.test", release=release)
    assert host.run("cat", "/etc/debian_version").startswith(version)
    assert host.attempt("systemctl", "is-system-running", "--wait").stdout.strip() == "running"


def test_a_host_installs_packages(fresh_host: FreshHost) -> None:
    host = fresh_host("box.lab.test")
    host.run("apt-get", "-qq", "update")
    host.run("apt-get", "-qq", "--yes", "install", "hello")
    assert "Hello" in host.run("hello")


# ---------------------------------------------------------------- DNS


def test_the_resolver_vouches_for_the_zones_of_the_site_and_the_stranger(site_lab: Lab) -> None:
    assert ask(site_lab, "lab.test", "SOA")[1]
    assert ask(site_lab, "peer.test", "MX") == (["10 mx.peer.test."], True)
    assert ask(site_lab, "lab.test", "DS")[0]


def test_reverse_names_are_there(site_lab: Lab) -> None:
    assert ask(site_lab, "10.0.88.10.in-addr.arpa", "PTR")[0] == ["mx1.lab.test."]
    assert ask(site_lab, "5.0.88.10.in-addr.arpa", "PTR")[0] == ["mx.peer.test."]


def test_the_operators_key_changes_the_zone_and_others_do_not(site_lab: Lab, site: Site) -> None:
    key = site_files.tsig_key(site)
    assert key is not None
    script = """
import sys, dns.tsigkeyring, dns.update, dns.query, dns.rcode
name, secret = sys.argv[1:]
update = dns.update.UpdateMessage("lab.test", keyring=dns.tsigkeyring.from_text({name: secret}))
update.replace("probe", 5, "TXT", '"seen"')
try:
    print(dns.rcode.to_text(dns.query.tcp(update, "10.88.0.2", timeout=5).rcode()))
except dns.tsig.PeerBadSignature:
    print("BADSIG")
"""
    assert site_lab.run(sys.executable, "-c", script, key.name, "AAAA" + key.secret[4:]).strip() == "BADSIG"
    assert site_lab.run(sys.executable, "-c", script, key.name, key.secret).strip() == "NOERROR"
    assert ask(site_lab, "probe.lab.test", "TXT") == (['"seen"'], True)


def test_a_record_changed_by_the_provider_is_seen_at_once(site_lab: Lab) -> None:
    owner = "9.0.88.10.in-addr.arpa"
    site_lab.nameserver.set_record(owner, "PTR", "wrong.lab.test.", zone="0.88.10.in-addr.arpa")
    assert ask(site_lab, owner, "PTR")[0] == ["wrong.lab.test."]
    site_lab.nameserver.set_record(owner, "PTR", "right.lab.test.", zone="0.88.10.in-addr.arpa")
    time.sleep(1.1)  # the resolver's longest memory
    assert ask(site_lab, owner, "PTR")[0] == ["right.lab.test."]
    site_lab.nameserver.remove_record(owner, "PTR", zone="0.88.10.in-addr.arpa")


# ---------------------------------------------------------------- authority


def test_every_host_believes_the_authority(site_lab: Lab) -> None:
    for name in ("mx1", "stranger"):
        said = site_lab.host(name).run("curl", "--silent", "--fail", "https://acme.test/dir")
        assert "newOrder" in said


def test_programs_in_the_lab_believe_the_authority(site_lab: Lab) -> None:
    fetch = "import urllib.request as u; print(u.urlopen('https://acme.test/dir', timeout=5).status)"
    assert site_lab.run(sys.executable, "-c", fetch).strip() == "200"


# ---------------------------------------------------------------- closed


def test_nothing_but_registries_can_be_reached(site_lab: Lab) -> None:
    before = site_lab.network.leaked_count()
    # TEST-NET-3 (RFC 5737): nobody is there, and the packet must not even leave.
    assert not connects(site_lab, "203.0.113.1", 25, timeout_s=1)
    host = site_lab.host("mx1")
    assert host.attempt("curl", "--silent", "--max-time", "1", "http://203.0.113.1/").returncode
    assert site_lab.network.leaked_count() > before
    assert ("10.88.0.10", "203.0.113.1") in site_lab.network.leaks()


def test_names_of_the_world_do_not_exist(site_lab: Lab) -> None:
    host = site_lab.host("mx1")
    assert host.attempt("getent", "hosts", "www.example.org").returncode
    assert host.attempt("getent", "hosts", "mx.peer.test").returncode == 0


def test_the_machines_own_services_are_out_of_reach(site_lab: Lab) -> None:
    outer, _ = site_lab.names.uplink
    assert not connects(site_lab, outer, 22, timeout_s=1)


# ---------------------------------------------------------------- faults


def test_a_cut_cable_is_silence_until_it_heals(site_lab: Lab) -> None:
    host = site_lab.host("mx1")
    site_lab.faults.cut(host)
    try:
        assert not connects(site_lab, host.plan.address, 22)
    finally:
        site_lab.faults.heal(host)
    assert connects(site_lab, host.plan.address, 22, timeout_s=5)


def test_a_blocked_port_is_blocked_for_everybody_and_no_other_port_is(site_lab: Lab) -> None:
    host = site_lab.host("stranger")
    site_lab.faults.block_port(host, 587)
    try:
        assert not connects(site_lab, host.plan.address, 587)
        assert not connects(site_lab, host.plan.addresses[1], 587)
        assert connects(site_lab, host.plan.address, 25)
    finally:
        site_lab.faults.block_port(host, 587, on=False)
    assert connects(site_lab, host.plan.address, 587)


def test_two_hosts_can_be_parted(site_lab: Lab) -> None:
    ping = ["ping", "-c", "1", "-W", "1", "10.88.0.5"]
    host, other = site_lab.host("mx1"), site_lab.host("stranger")
    assert host.attempt(*ping).returncode == 0
    site_lab.faults.block(host, other)
    try:
        assert host.attempt(*ping).returncode != 0
    finally:
        site_lab.faults.block(host, other, on=False)
    assert host.attempt(*ping).returncode == 0


def test_a_slow_line_is_slow_both_ways(site_lab: Lab) -> None:
    host = site_lab.host("mx1")
    site_lab.faults.delay(host, 50)
    try:
        host.attempt("ping", "-c", "1", "-W", "2", "10.88.0.5")  # address resolution first
        said = host.run("ping", "-c", "3", "-i", "0.2", "-W", "2", "10.88.0.5")
        fastest_ms = float(said.rpartition("= ")[2].split("/")[0])
        assert 100 <= fastest_ms < 150
    finally:
        site_lab.faults.heal(host)
    said = host.run("ping", "-c", "3", "-i", "0.2", "10.88.0.5")
    assert float(said.rpartition("= ")[2].split("/")[0]) < 10


def test_a_full_disk_is_full_and_can_be_freed(lab: Lab, fresh_host: FreshHost) -> None:
    host = fresh_host("box.lab.test", disk_bytes=256 << 20)
    lab.faults.fill_disk(host)
    assert "No space left" in host.attempt("sh", "-c", "dd if=/dev/zero of=/root/x bs=64k count=16").stderr
    lab.faults.free_disk(host)
    host.run("sh", "-c", "dd if=/dev/zero of=/root/x bs=64k count=16")


def test_a_wrong_clock_is_seen_by_services_that_start_after_it(lab: Lab, fresh_host: FreshHost) -> None:
    host = fresh_host("box.lab.test")

    def year() -> int:
        return int(host.run("systemd-run", "--quiet", "--pipe", "--wait", "date", "+%Y"))

    now = year()
    lab.faults.set_clock(host, 3 * 365 * 86_400)
    assert year() >= now + 2
    lab.faults.set_clock(host, 0)
    assert year() == now


def test_a_power_cut_loses_what_was_not_synced_and_keeps_what_was(fresh_host: FreshHost) -> None:
    host = fresh_host("box.lab.test", disk_bytes=256 << 20)
    host.run("sh", "-c", "echo kept > /root/kept && sync /root/kept /root && echo lost > /root/lost")
    host.lose_power()
    assert host.run("cat", "/root/kept") == "kept\n"
    assert host.attempt("cat", "/root/lost").stdout != "lost\n"


def test_a_killed_host_keeps_its_disk(fresh_host: FreshHost) -> None:
    host = fresh_host("box.lab.test")
    host.run("sh", "-c", "echo there > /root/there")
    host.kill()
    host.start()
    assert host.run("cat", "/root/there") == "there\n"


def test_a_saved_host_is_where_later_hosts_start(lab: Lab, fresh_host: FreshHost) -> None:
    host = fresh_host("box.lab.test")
    host.run("sh", "-c", "echo there > /root/there && rm /etc/motd")
    image = host.save(lab.names.state / "saved")
    later = lab.new_host("later.lab.test", image=image)
    try:
        assert later.run("cat", "/root/there") == "there\n"
        assert later.attempt("test", "-e", "/etc/motd").returncode == 1
        assert later.run("cat", "/etc/machine-id") != host.run("cat", "/etc/machine-id")
    finally:
        later.remove(lab.network)


# ---------------------------------------------------------------- the stranger

TALK = """
import imaplib, smtplib, ssl, sys, time
trust = ssl.create_default_context()
letter = b"From: carol@peer.test\\r\\nTo: dave@peer.test\\r\\nSubject: %s\\r\\n\\r\\nHello.\\r\\n"
letter %= sys.argv[1].encode()
with smtplib.SMTP("mx.peer.test", 587, timeout=10) as client:
    client.starttls(context=trust)
    client.login("carol", "carol-of-peer")
    client.sendmail("carol@peer.test", ["dave@peer.test"], letter)
with smtplib.SMTP("mx.peer.test", 25, timeout=10) as client:
    client.sendmail("alice@lab.test", ["dave@peer.test"], letter.replace(b"carol@peer", b"alice@lab"))
with imaplib.IMAP4_SSL("mx.peer.test", 993, ssl_context=trust, timeout=10) as reader:
    reader.login("dave", "dave-of-peer")
    for _ in range(100):
        reader.select()
        numbers = reader.search(None, "SUBJECT", sys.argv[1])[1][0].split()
        if len(numbers) == 2:
            break
        time.sleep(0.1)
    for number in numbers:
        print(reader.fetch(number, "(RFC822)")[1][0][1].decode())
"""


def test_the_stranger_signs_its_own_letters_and_judges_those_of_others(lab: Lab) -> None:
    said = lab.run(sys.executable, "-c", TALK, f"probe-{os.getpid()}-{time.monotonic_ns()}")
    own, other = said.split("Return-Path: ")[1:]
    assert "DKIM-Signature" in own
    assert "d=peer.test" in own
    assert "Authentication-Results: mx.peer.test; dkim=none" in other
    assert "Received-SPF: " in other


# ---------------------------------------------------------------- down


def test_down_leaves_nothing_even_without_the_labs_files(bootable: None) -> None:
    lab = Lab(Names(f"{LAB_NAME}2"))
    try:
        lab.up()
        host = lab.new_host("box.lab.test", disk_bytes=128 << 20)
        lab.faults.delay(host, 10)
        sleeper = subprocess.Popen(lab.inside(["sleep", "1000"]))
        # As after a crash that took the lab's notes with it.
        for file in lab.names.state.rglob("host.json"):
            file.unlink()
        there = remains.find(lab.names)
        assert all((there.processes, there.mounts, there.namespaces, there.links, there.tables, there.groups))
    finally:
        left = lab.down()
    assert left == remains.Remains()
    assert sleeper.wait(timeout=5) == -9
    assert not [name for name in NAMESPACES.iterdir() if lab.names.owns(name.name)]
    assert not cgroups.of_lab(lab.names)
    assert str(lab.names.state) not in Path("/proc/self/mountinfo").read_text()
    assert str(lab.names.state) not in run(["losetup", "--list"])


def test_a_second_lab_does_not_disturb_the_first(site_lab: Lab) -> None:
    before = {host.plan.name: host.leader for host in site_lab.hosts()}
    other = Lab(Names(f"{LAB_NAME}3"))
    try:
        other.up()
        assert other.host("dns").plan.address == IPv4Address("10.88.0.2")
    finally:
        assert not other.down().render()
    assert {host.plan.name: host.leader for host in site_lab.hosts()} == before
    assert ask(site_lab, "peer.test", "MX")[1]
