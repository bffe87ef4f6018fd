"""The steps that write: directories, secrets, settings, firewall."""

from __future__ import annotations

import json
from dataclasses import replace

from mailserver_py.provision.seen import Account
from mailserver_py.provision.steps import directories, firewall, secrets, settings, user

from ..worlds import FRESH, SECRETS, make_wish, settled, whats


def test_secrets_are_for_root_alone_and_travel_by_standard_input() -> None:
    (change,) = secrets.changes(make_wish(), FRESH)
    rows = json.loads(change.stdin)
    assert {row["mode"] for row in rows} == {0o600}
    assert {row["owner"] for row in rows} == {"root"}
    assert len(change.what) == len(SECRETS)


def test_a_secret_that_is_no_longer_wanted_is_removed() -> None:
    host = settled(make_wish())
    fewer = {name: content for name, content in SECRETS.items() if name != "verify"}
    (change,) = secrets.changes(make_wish(secrets=fewer), host.seen)
    assert change.what == ("/etc/credstore/mailserver/verify: no longer wanted",)


def test_a_secret_that_somebody_made_readable_is_closed_again() -> None:
    host = settled(make_wish())
    path = "/etc/credstore/mailserver/passwords"
    entries = {**host.seen.entries, path: replace(host.seen.entries[path], mode=0o644)}
    (change,) = secrets.changes(make_wish(), replace(host.seen, entries=entries))
    assert change.what == (f"{path}: mode 644, not 600",)


def test_settings_and_release_switch_in_one_payload() -> None:
    (change,) = settings.changes(make_wish(), FRESH)
    paths = [row["path"] for row in json.loads(change.stdin)]
    assert paths[0] == "/etc/mailserver/settings.json"
    assert paths[-1] == "/opt/mailserver/current"


def test_trusted_certificates_go_where_the_hosts_verification_looks() -> None:
    (change,) = settings.changes(make_wish(trusted={"certs/lab.pem": b"PEM"}), FRESH)
    assert "/etc/mailserver/certs: missing" in change.what
    assert "/etc/mailserver/certs/lab.pem: missing" in change.what


def test_the_firewall_opens_what_the_spec_opens_and_ssh_and_nothing_else() -> None:
    spec = {"listeners": {"pop3s": False}, "tls": {"source": "self-signed"}}
    _, rules = firewall.rule_set(make_wish(spec=spec), FRESH)
    assert b"tcp dport { 22, 25, 465, 587, 993 } accept" in rules


def test_the_port_that_the_operator_came_in_on_stays_open() -> None:
    _, rules = firewall.rule_set(make_wish(), replace(FRESH, ssh_port=2222))
    assert b"{ 22, 25, 80, 465, 587, 993, 995, 2222 }" in rules


def test_the_firewall_touches_no_table_but_its_own() -> None:
    _, rules = firewall.rule_set(make_wish(), FRESH)
    statements = [line for line in rules.decode().splitlines() if line and line[0] not in "#\t}"]
    assert statements == [
        "table inet mailserver",
        "delete table inet mailserver",
        "table inet mailserver {",
    ]


def test_rules_that_the_kernel_lost_are_loaded_again_though_the_file_is_right() -> None:
    host = settled(make_wish())
    changes = list(firewall.changes(make_wish(), replace(host.seen, firewall="")))
    assert whats(changes) == ["firewall: not loaded"]


def test_a_user_that_exists_is_left_alone() -> None:
    seen = replace(FRESH, users={"mailserver": Account(7, 7, "/", "/bin/sh")}, groups={"mailserver": 7})
    assert list(user.changes(make_wish(), seen)) == []


def test_a_group_of_the_users_name_is_taken_over() -> None:
    (change,) = user.changes(make_wish(), replace(FRESH, groups={"mailserver": 7}))
    assert "groupadd" not in change.script


def test_the_retention_is_of_our_own_journal_and_the_hosts_is_given_back() -> None:
    old = "/etc/systemd/journald.conf.d/mailserver.conf"
    host = settled(make_wish())
    entry = host.seen.entries["/etc/systemd/journald@mailserver.conf"]
    assert old not in host.seen.entries
    (change,) = directories.changes(
        make_wish(), replace(host.seen, entries={**host.seen.entries, old: entry})
    )
    assert change.what == (f"{old}: no longer wanted",)
    assert "systemctl restart systemd-journald.service" in change.script
    longer = make_wish(spec={"retention": {"logs": "30d"}})
    (change,) = directories.changes(longer, host.seen)
    assert change.what == ("/etc/systemd/journald@mailserver.conf: other content",)
    assert "systemctl try-restart systemd-journald@mailserver.service" in change.script
