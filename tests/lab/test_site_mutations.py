"""One thing is broken by hand, and verification names it and nothing else; mended, all is well again (promise R40)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from mailserver_py.daemon.credentials import SCRAM_PREFIX
from mailserver_py.lab.certificates import ensure_authority, issue
from mailserver_py.lab.nameserver import reverse_zone

from .standing import DOMAIN, Standing

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

Fault = Callable[[Standing], AbstractContextManager[None]]

NOTICED_S = 15.0
"""Workers look for a new certificate every few seconds."""


@contextmanager
def _record(site: Standing, owner: str, rdtype: str, rdata: str) -> Iterator[None]:
    """Another record set in the zone, or none."""
    names = site.lab.nameserver
    read = names.host.run("knotc", "zone-read", f"{DOMAIN}.", f"{owner}.", rdtype).splitlines()
    kept = [line.partition("] ")[2].split(" ", 3) for line in read]
    if rdata:
        names.set_record(owner, rdtype, rdata, zone=DOMAIN)
    else:
        names.remove_record(owner, rdtype, zone=DOMAIN)
    site.forget_answers()
    try:
        yield
    finally:
        back = [("zone-set", name, ttl_s, kind, value) for name, ttl_s, kind, value in kept]
        names.change(DOMAIN, [("zone-unset", f"{owner}.", rdtype), *back])
        site.forget_answers()


def no_mx(site: Standing) -> AbstractContextManager[None]:
    return _record(site, DOMAIN, "MX", "")


def wrong_mx(site: Standing) -> AbstractContextManager[None]:
    return _record(site, DOMAIN, "MX", "10 mail.lab.test.")


def no_spf(site: Standing) -> AbstractContextManager[None]:
    return _record(site, DOMAIN, "TXT", "")


def wrong_spf(site: Standing) -> AbstractContextManager[None]:
    return _record(site, DOMAIN, "TXT", '"v=spf1 ip4:192.0.2.1 -all"')


def _dkim_owner(site: Standing) -> str:
    return next(
        f"{file.stem}._domainkey.{DOMAIN}"
        for file in sorted(site.target.folder.glob(f"site/public/dkim/{DOMAIN}/*.pem"))
    )


def wrong_key(site: Standing) -> AbstractContextManager[None]:
    foreign = '"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="'
    return _record(site, _dkim_owner(site), "TXT", foreign)


def no_dmarc(site: Standing) -> AbstractContextManager[None]:
    return _record(site, f"_dmarc.{DOMAIN}", "TXT", "")


@contextmanager
def no_ptr(site: Standing) -> Iterator[None]:
    address = site.host.plan.address
    site.lab.nameserver.remove_record(address.reverse_pointer, "PTR", zone=reverse_zone(address))
    site.forget_answers()
    try:
        yield
    finally:
        site.publish()


@contextmanager
def closed_port(site: Standing) -> Iterator[None]:
    """What an operator's slip in the firewall does."""
    site.sh("nft insert rule inet mailserver input tcp dport 993 reject with tcp reset")
    try:
        yield
    finally:
        site.sh("systemctl restart mailserver-firewall")


@contextmanager
def wrong_password(site: Standing) -> Iterator[None]:
    """The host's hash is another's."""
    file = "/etc/credstore/mailserver/passwords"
    kept = site.sh(f"cat {file}")
    hashes = json.loads(kept)
    owner = f"alice@{DOMAIN}"
    anothers = {
        name: hashes[f"{SCRAM_PREFIX}{owner}" if name.startswith(SCRAM_PREFIX) else owner] for name in hashes
    }
    try:
        _write_passwords(site, json.dumps(anothers))
        yield
    finally:
        _write_passwords(site, kept)


def _write_passwords(site: Standing, text: str) -> None:
    site.host.run("sh", "-ec", "cat >/etc/credstore/mailserver/passwords", stdin=text)
    site.sh("systemctl restart 'mailserver-worker@*'")


@contextmanager
def foreign_certificate(site: Standing) -> Iterator[None]:
    """One that nobody vouches for lies where ours should."""
    authority = ensure_authority(site.target.folder.parent / "nobody")
    pair = issue(authority, [site.name])
    folder = f"/var/lib/mailserver-tls/{site.name}"
    kept = site.sh(f"readlink {folder}/current").strip()
    site.sh(f"cp -a {folder}/{kept} {folder}/foreign")
    # In place, so that owner and mode stay.
    for file, text in (("fullchain.pem", pair.certificate), ("key.pem", pair.key)):
        site.host.run("sh", "-ec", f"cat >{folder}/foreign/{file}", stdin=text)
    site.sh(f"ln -sfn foreign {folder}/new && mv -T {folder}/new {folder}/current")
    _await(site, lambda codes: "certificate.untrusted" in codes)
    try:
        yield
    finally:
        site.sh(f"ln -sfn {kept} {folder}/new && mv -T {folder}/new {folder}/current; rm -r {folder}/foreign")
        _await(site, lambda codes: not codes)


def _await(site: Standing, noticed: Callable[[set[str]], bool]) -> None:
    end = time.monotonic() + NOTICED_S
    while not noticed(site.verify("listeners").codes) and time.monotonic() < end:
        time.sleep(0.5)


@contextmanager
def full_disk(site: Standing) -> Iterator[None]:
    site.lab.faults.fill_disk(site.host)
    try:
        yield
    finally:
        site.lab.faults.free_disk(site.host)


@contextmanager
def stopped_queue(site: Standing) -> Iterator[None]:
    site.sh("systemctl stop mailserver-queue")
    try:
        yield
    finally:
        site.sh("systemctl start mailserver-queue")


@contextmanager
def wrong_clock(site: Standing) -> Iterator[None]:
    """An hour ahead, as on a host whose time is not kept."""
    site.lab.faults.set_clock(site.host, 3600)
    site.sh("systemctl restart 'mailserver-worker@*'")
    try:
        yield
    finally:
        site.lab.faults.set_clock(site.host, 0)
        site.sh("systemctl restart 'mailserver-worker@*'")


@pytest.mark.parametrize(
    ("fault", "check", "code"),
    [
        (no_mx, "records", "mx.missing"),
        (wrong_mx, "records", "mx.differs"),
        (no_spf, "records", "spf.missing"),
        (wrong_spf, "records", "spf.differs"),
        (wrong_key, "records", "dkim.differs"),
        (no_dmarc, "records", "dmarc.missing"),
        (no_ptr, "reverse", "ptr.missing"),
        (closed_port, "listeners", "listener.closed"),
        (foreign_certificate, "listeners", "certificate.untrusted"),
        (wrong_password, "login", "login.refused"),
        (full_disk, "roundtrip", "host.disk-full"),
        (wrong_clock, "roundtrip", "clock.skewed"),
    ],
)
def test_what_was_broken_is_named_and_nothing_else(
    one_host: Standing, fault: Fault, check: str, code: str
) -> None:
    with fault(one_host):
        look = one_host.verify(check)
    assert (look.status, look.codes) == (1, {code}), look.findings
    assert all(finding["fix"] for finding in look.findings)


def test_a_stopped_queue_is_named_from_outside(one_host: Standing) -> None:
    with stopped_queue(one_host):
        look = one_host.verify("stranger")  # three quarters of a minute: a stranger may take its time
    assert (look.status, look.codes) == (1, {"stranger.not-arrived"})
    assert "mailserver-queue" in look.findings[0]["fix"]


@pytest.mark.parametrize(
    ("fault", "code"), [(stopped_queue, "host.queue-stopped"), (full_disk, "host.disk-full")]
)
def test_what_the_host_sees_itself_is_told_by_its_status(one_host: Standing, fault: Fault, code: str) -> None:
    with fault(one_host):
        look = one_host.verify_on_host("host")
    assert (look.status, look.codes) == (1, {code}), look.findings


def test_all_is_well_in_the_end(one_host: Standing) -> None:
    look = one_host.verify()
    assert (look.status, look.findings) == (0, [])
