"""Publishing to a real Knot on loopback: `mailserver publish` from the plan to the answers."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.query
import dns.tsig
import dns.update
import pytest

from mailserver_py.spec.keys import create_identity, import_secret, load_identities, make_keys
from mailserver_py.spec.load import Site
from tests.cli.run import run
from tests.spec.sites import write_site
from tests.zone.knot import KEY, SECRET, Knot, running_knot

pytestmark = pytest.mark.live
Capsys = pytest.CaptureFixture[str]

SITE = """\
domains: {{example.org: }}
hosts: {{mx1.example.org: {{ipv4: 192.0.2.10, ipv6: '2001:db8::10'}}}}
accounts: {{alice@example.org: }}
tls: {{source: self-signed}}
dns: {{publish: rfc2136, rfc2136: {{server: '{server}', key_name: {key}}}}}
"""


@pytest.fixture
def knot(tmp_path: Path) -> Iterator[Knot]:
    with running_knot(tmp_path) as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, knot: Knot, monkeypatch: pytest.MonkeyPatch) -> Site:
    return prepared(tmp_path, knot.server, monkeypatch)


def prepared(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch, *, key: str = KEY, secret: str = SECRET
) -> Site:
    identity = tmp_path / "identity.txt"
    monkeypatch.setenv("MAILSERVER_IDENTITY", str(identity))
    create_identity(identity)
    site = write_site(tmp_path / "site", SITE.format(server=server, key=key))
    import_secret(site, "tsig", secret.encode(), identities=load_identities())
    make_keys(site, identities=load_identities())
    return site


def test_the_difference_is_shown_sent_once_and_then_nothing_is_to_do(
    site: Site, knot: Knot, capsys: Capsys
) -> None:
    folder = str(site.folder)
    assert run(capsys, "publish", folder, "--dry").status == 1
    assert knot.ask("mx1.example.org", "A") == set()
    sent = run(capsys, "publish", folder, "--yes")
    assert (sent.status, "published 15 record sets" in sent.out) == (0, True), sent
    assert knot.ask("mx1.example.org", "A") == {"192.0.2.10"}
    assert knot.ask("example.org", "TXT") == {'"site-verification=abc"', '"v=spf1 mx -all"'}
    assert knot.ask("www.example.org", "A") == {"198.51.100.80"}
    assert knot.ask("10.2.0.192.in-addr.arpa", "PTR") == {"mx1.example.org."}
    assert "0.1.0.0" in sent.out.split("ask the provider")[1]
    memory = (site.public_folder / "published.json").read_bytes()
    again = run(capsys, "publish", folder, "--yes")
    assert (again.status, again.out.count("nothing to do")) == (0, 2)
    assert (site.public_folder / "published.json").read_bytes() == memory
    assert json.loads(run(capsys, "publish", folder, "--json").out)["zones"] == []


def test_a_dropped_domain_asks_for_a_second_yes_and_goes(site: Site, knot: Knot, capsys: Capsys) -> None:
    folder = str(site.folder)
    run(capsys, "publish", folder, "--yes")
    moved = write_site(site.folder, site.file.read_text().replace("example.org", "example.net"))
    make_keys(moved, identities=load_identities())
    refused = run(capsys, "publish", folder, "--yes")
    assert (refused.status, "--yes-delete" in refused.err) == (2, True)
    assert knot.ask("example.org", "MX") != set()
    assert run(capsys, "publish", folder, "--yes", "--yes-delete").status == 1  # example.net is nobody's yet
    assert knot.ask("example.org", "MX") == set()
    assert knot.ask("example.org", "TXT") == {'"site-verification=abc"'}
    assert knot.ask("www.example.org", "A") == {"198.51.100.80"}


def test_without_a_terminal_nothing_is_sent_unasked(site: Site, knot: Knot, capsys: Capsys) -> None:
    ran = run(capsys, "publish", str(site.folder))
    assert (ran.status, "--yes" in ran.err) == (2, True)
    assert knot.ask("mx1.example.org", "A") == set()


def test_an_alias_in_the_way_is_named(site: Site, knot: Knot, capsys: Capsys) -> None:
    update = dns.update.UpdateMessage("example.org")
    update.add("mx1", 300, "CNAME", "elsewhere.example.net.")
    update.use_tsig(dns.tsig.Key(KEY, SECRET, "hmac-sha256."))
    dns.query.tcp(update, "127.0.0.1", 5, knot.port)
    ran = run(capsys, "publish", str(site.folder), "--yes")
    assert (ran.status, "mx1.example.org. is an alias" in ran.err) == (2, True)


@pytest.mark.parametrize(
    ("key", "secret", "words"),
    [
        (KEY, "d3Jvbmc=", "another secret"),
        ("unknown-key", SECRET, "does not know the TSIG key"),
        (KEY, "!!!", "no base64"),
    ],
    ids=["wrong-secret", "wrong-name", "no-base64"],
)
def test_a_wrong_key_is_named_with_the_next_step(
    key: str,
    secret: str,
    words: str,
    tmp_path: Path,
    knot: Knot,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capsys,
) -> None:
    site = prepared(tmp_path, knot.server, monkeypatch, key=key, secret=secret)
    ran = run(capsys, "publish", str(site.folder), "--yes")
    assert (ran.status, words in ran.err, "→" in ran.err) == (2, True, True), ran


def test_without_transfers_the_records_are_read_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys
) -> None:
    with running_knot(tmp_path, actions="update", reverse=False) as knot:
        site = prepared(tmp_path, knot.server, monkeypatch)
        assert "published 14 record sets" in run(capsys, "publish", str(site.folder), "--yes").out
        assert run(capsys, "publish", str(site.folder), "--yes").status == 0


def test_a_server_that_refuses_says_what_to_allow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys
) -> None:
    with running_knot(tmp_path, actions="transfer") as knot:
        site = prepared(tmp_path, knot.server, monkeypatch)
        ran = run(capsys, "publish", str(site.folder), "--yes")
        assert (ran.status, "does not let it update" in ran.err, "action: update" in ran.err) == (
            2,
            True,
            True,
        )
        assert not (site.public_folder / "published.json").exists()


def test_a_server_that_is_not_there_is_the_worlds_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys
) -> None:
    monkeypatch.setattr("mailserver_py.net.nameserver.TIMEOUT_S", 0.2)
    site = prepared(tmp_path, "127.0.0.1:9", monkeypatch)
    ran = run(capsys, "publish", str(site.folder), "--yes")
    assert (ran.status, "cannot be reached" in ran.err) == (75, True)


def test_without_a_key_the_difference_is_shown_from_the_public_dns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys
) -> None:
    """The servers of a zone answer on port 53 only, which needs root."""
    if os.geteuid() != 0:
        pytest.skip("needs root: a nameserver on port 53 of a loopback address")
    with running_knot(tmp_path, address="127.53.53.53", port=53) as knot:
        site = prepared(tmp_path, knot.server, monkeypatch)
        text = site.file.read_text().replace(", ipv6: '2001:db8::10'", "")
        run(capsys, "publish", str(write_site(site.folder, text).folder), "--yes")
        text = re.sub(r"dns: .*", f"dns: {{resolver: {knot.address}}}", text)
        text += "listeners: {pop3: true}\n"
        shown = run(capsys, "publish", str(write_site(site.folder, text).folder))
        assert (shown.status, shown.out.count("changes"), "put the changes in by hand" in shown.out) == (
            1,
            2,
            True,
        ), shown
        assert "~ _pop3._tcp.example.org SRV" in shown.out
        assert knot.ask("_pop3._tcp.example.org", "SRV") == {"0 0 0 ."}


def test_records_that_no_server_has_a_zone_for_leave_the_job_undone(site: Site, capsys: Capsys) -> None:
    moved = write_site(site.folder, site.file.read_text().replace("example.org", "example.net"))
    make_keys(moved, identities=load_identities())
    ran = run(capsys, "publish", str(site.folder), "--yes")
    assert (ran.status, "no zone of the DNS server holds these" in ran.out) == (1, True), ran
