from __future__ import annotations

from dataclasses import replace

import pytest

from mailserver_py.provision.seen import Seen
from mailserver_py.provision.steps import processes

from ..worlds import SECRETS, Host, make_wish, settled, whats


def _changed(host: Host, **properties: str) -> Seen:
    units = {name: dict(unit) for name, unit in host.seen.units.items()}
    name = properties.pop("unit")
    units[name].update(properties)
    return replace(host.seen, units=units)


def test_a_process_of_another_stamp_is_restarted_though_nothing_on_the_disk_differs() -> None:
    seen = _changed(settled(make_wish()), unit="mailserver-worker@2.service", Stamp="of yesterday")
    changes = list(processes.changes(make_wish(), seen))
    assert [line.partition(":")[0] for line in whats(changes)] == ["mailserver-worker@2.service"]


def test_a_dead_process_is_started() -> None:
    seen = _changed(settled(make_wish()), unit="mailserver-queue.service", ActiveState="failed")
    assert whats(processes.changes(make_wish(), seen)) == ["mailserver-queue.service: not running"]


def test_processes_restart_one_by_one_and_no_further_after_a_failure() -> None:
    host = settled(make_wish())
    (restart,) = [
        change
        for change in processes.changes(make_wish(release="bbbbbbbb"), host.seen)
        if "systemctl restart" in change.script
    ]
    assert (
        "for unit in mailserver-worker@1.service mailserver-worker@2.service mailserver-queue.service;"
        in (restart.script)
    )
    assert "exit 1" in restart.script


@pytest.mark.parametrize(
    ("name", "content", "restarts"),
    [
        ("passwords", b"new", True),
        ("dkim.r1.example.org", b"new", True),
        ("verify", b"new", False),
        ("tls-key", b"new", False),
    ],
)
def test_only_secrets_that_a_process_holds_restart_it(name: str, content: bytes, restarts: bool) -> None:
    host = settled(make_wish())
    changes = list(processes.changes(make_wish(secrets=SECRETS | {name: content}), host.seen))
    assert bool(changes) == restarts


def test_a_closed_socket_is_opened_while_the_worker_that_it_starts_pauses() -> None:
    seen = _changed(settled(make_wish()), unit="mailserver-imaps.socket", ActiveState="inactive")
    changes = list(processes.changes(make_wish(), seen))
    opening = changes[0].script
    assert opening.startswith("systemctl stop mailserver-worker@1.service mailserver-worker@2.service; ")
    assert "systemctl start mailserver-imaps.socket" in opening
    assert "mailserver-worker@2.service: stopped to open a socket" in whats(changes)


def test_workers_are_as_many_as_the_spec_says_or_one_per_core() -> None:
    two = settled(make_wish())
    assert "mailserver-worker@3.service" not in two.seen.units
    spec = {"hosts": {"mx1.example.org": {"ipv4": "192.0.2.10", "workers": 3}}}
    assert settled(make_wish(spec=spec)).seen.active("mailserver-worker@3.service")


def test_a_host_without_any_certificate_gets_a_stand_in_before_its_listeners_are_asked() -> None:
    seen = replace(settled(make_wish()).seen, certificate={})
    assert [change.script for change in processes.changes(make_wish(), seen)] == [
        "systemctl start mailserver-stand-in.service"
    ]
