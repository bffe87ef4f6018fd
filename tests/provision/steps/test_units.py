from __future__ import annotations

import configparser
import inspect
from dataclasses import replace

import pytest

from mailserver_py.cli import trace
from mailserver_py.provision.onhost import program
from mailserver_py.provision.steps import certificate, processes
from mailserver_py.provision.steps import units as step
from mailserver_py.provision.units import CERT, QUEUE, STAND_IN, VERIFY, WORKER, unit_files, unit_text
from mailserver_py.spec.settings import LOG_NAMESPACE

from ..worlds import FRESH, make_wish, settled, whats

CLOSED = {"listeners": {"pop3s": False}}


def test_a_listener_that_the_spec_closes_is_stopped_before_its_unit_goes() -> None:
    host = settled(make_wish())
    stop, remove = step.changes(make_wish(spec=CLOSED), host.seen)
    assert stop.script == "systemctl disable --quiet --now mailserver-pop3s.socket"
    assert "/etc/systemd/system/mailserver-pop3s.socket: no longer wanted" in remove.what


def test_a_closed_listener_stays_closed_in_a_second_run() -> None:
    host = settled(make_wish())
    host.run(make_wish(spec=CLOSED))
    assert not host.seen.active("mailserver-pop3s.socket")
    assert host.run(make_wish(spec=CLOSED)) == []


def test_fewer_workers_stop_the_ones_beyond() -> None:
    one = {"hosts": {"mx1.example.org": {"ipv4": "192.0.2.10", "workers": 1}}}
    host = settled(make_wish())
    host.run(make_wish(spec=one))
    assert not host.seen.active("mailserver-worker@2.service")
    assert host.run(make_wish(spec=one)) == []


def test_a_unit_that_systemd_has_not_loaded_is_loaded_though_its_file_is_right() -> None:
    host = settled(make_wish())
    units = {name: dict(unit) for name, unit in host.seen.units.items()}
    units["mailserver-queue.service"]["NeedDaemonReload"] = "yes"
    (change,) = step.changes(make_wish(), replace(host.seen, units=units))
    assert change.script == "systemctl daemon-reload"


def test_a_socket_of_another_form_is_stopped_before_its_file_changes() -> None:
    host = settled(make_wish())
    path = "/etc/systemd/system/mailserver-smtp.socket"
    entries = {**host.seen.entries, path: replace(host.seen.entries[path], digest="other")}
    changes = list(step.changes(make_wish(), replace(host.seen, entries=entries)))
    assert changes[0].script == "systemctl stop mailserver-smtp.socket"
    assert whats(changes)[1] == f"{path}: other content"


def _parsed(text: bytes) -> list[tuple[str, str]]:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's keys have capitals
    parser.read_string(text.decode())
    lines = [line.partition("=") for line in text.decode().splitlines() if "=" in line and line[0] != "#"]
    return [(key, value) for key, _, value in lines]


@pytest.mark.parametrize("name", [WORKER, QUEUE, "mailserver-cert.service", "mailserver-verify.service"])
def test_every_service_is_unprivileged_and_sees_only_its_own_folders(name: str) -> None:
    rows = _parsed(unit_files(make_wish())[name])
    for row in (
        ("User", "mailserver"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("ProtectSystem", "strict"),
        ("InaccessiblePaths", "-/etc/credstore"),
    ):
        assert row in rows
    assert [key for key, _ in rows].count("ReadWritePaths") == 1


def test_each_service_gets_only_the_secrets_that_it_needs() -> None:
    files = unit_files(make_wish())
    loaded = {
        name: {value.partition(":")[0] for key, value in _parsed(text) if key == "LoadCredential"}
        for name, text in files.items()
    }
    assert loaded[WORKER] == loaded[QUEUE] == {"passwords", "dkim.r1.example.org"}
    assert loaded["mailserver-cert.service"] == {"tls-key", "acme-account"}
    assert loaded["mailserver-stand-in.service"] == {"tls-key"}
    assert loaded["mailserver-verify.service"] == {"verify"}


def test_every_worker_has_every_socket_and_none_blocks_the_others() -> None:
    rows = _parsed(unit_files(make_wish())[WORKER])
    sockets = [value for key, value in rows if key == "Sockets"]
    assert sockets == [door.unit for door in make_wish().doors]
    assert ("NonBlocking", "yes") in rows
    assert ("StartLimitIntervalSec", "0") in rows


def test_port_80_is_open_only_for_the_authority_that_asks_there() -> None:
    assert "mailserver-http.socket" in unit_files(make_wish())
    assert "mailserver-http.socket" not in unit_files(make_wish(spec={"tls": {"source": "self-signed"}}))


@pytest.mark.parametrize("name", [WORKER, QUEUE, STAND_IN, CERT, VERIFY])
def test_what_our_units_say_is_kept_in_a_journal_of_their_own(name: str) -> None:
    assert f"LogNamespace={LOG_NAMESPACE}" in unit_text(name, make_wish()).decode().splitlines()


def test_every_reader_of_the_journal_reads_that_one() -> None:
    steps = (processes.changes, certificate.changes)
    scripts = [change.script for changes in steps for change in changes(make_wish(), FRESH)]
    texts = [program("listening.py"), inspect.getsource(trace.log_lines), *scripts]
    readers = [text for text in texts if "journalctl" in text]
    assert len(readers) >= 4
    for text in readers:
        assert "--namespace=+" in text.partition("journalctl")[2][:30]
