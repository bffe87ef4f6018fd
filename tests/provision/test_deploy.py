"""deploy.py by pyinfra itself, on its own pretend hosts: what a run asks, changes, says and exits with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mailserver_py.provision.onhost import program
from mailserver_py.provision.seen import Holder, Seen
from mailserver_py.provision.texts import CHECKOUT
from mailserver_py.spec.keys import SiteKeys, create_identity, load_identities, make_keys
from mailserver_py.spec.load import load_site

from .worlds import FRESH

HOSTNAMES = ("mx1.example.org", "mx2.example.org")
SPEC = """
domains: {example.org: {}}
hosts:
  mx1.example.org: {ipv4: 203.0.113.7}
  mx2.example.org: {ipv4: 203.0.113.8}
accounts: {alice@example.org: {}}
"""

HOSTS = """
import json, pathlib
from mailserver_py.provision import inventory as _inventory

_here = pathlib.Path(__file__).parent
mail = [
    ("@fake/" + name, {
        "site": data["site"], "hostname": name, "fake_delay": 0, "fake_delay_jitter": 0,
        "fake_responses": json.loads((_here / f"{name}.json").read_text()),
    })
    for name, data in _inventory.hosts(__file__)
]
"""


def _answer(seen: Seen) -> str:
    """The probe's JSON for a host; the clock is this machine's."""
    row: dict[str, Any] = {
        "uid": seen.uid,
        "os_id": seen.os_id,
        "os_version": seen.os_version,
        "systemd": seen.systemd,
        "python": seen.python,
        "machine": seen.machine,
        "glibc": seen.glibc,
        "cpu_count": seen.cpu_count,
        "now_s": time.time(),
        "ssh_port": seen.ssh_port,
        "free_bytes": seen.free_bytes,
        "entries": {},
        "users": {"root": [0, 0, "/root", "/bin/bash"]},
        "groups": {"root": 0},
        "packages": sorted(seen.packages),
        "units": {},
        "listeners": [
            {"port": h.port, "pid": h.pid, "process": h.process, "unit": h.unit} for h in seen.holders
        ],
        "public": [
            {"port": h.port, "pid": h.pid, "process": h.process, "unit": h.unit, "protocol": h.protocol}
            for h in seen.public
        ],
        "firewall": [],
        "certificate": {},
    }
    return json.dumps(row)


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with keys; RSA takes its time."""
    folder = tmp_path_factory.mktemp("keyed")
    (folder / "mail.yaml").write_text(SPEC)
    (folder / "hosts.py").write_text(HOSTS)
    create_identity(folder / "identity.txt")
    make_keys(load_site(folder), identities=load_identities(_identity(folder)))
    return folder


@pytest.fixture
def site(keyed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(keyed, tmp_path, dirs_exist_ok=True)
    for name, value in _identity(tmp_path).items():
        monkeypatch.setenv(name, value)
    for name in HOSTNAMES:
        _host(tmp_path, name, FRESH)
    return tmp_path


def _identity(folder: Path) -> dict[str, str]:
    return {"MAILSERVER_IDENTITY": str(folder / "identity.txt")}


def _host(site: Path, name: str, seen: Seen | str) -> None:
    answer = seen if isinstance(seen, str) else _answer(seen)
    marker = program("probe.py").splitlines()[0].removeprefix("python3 -c ").strip("'")
    (site / f"{name}.json").write_text(json.dumps({marker: answer}))


def _pyinfra(site: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pyinfra", str(site / "hosts.py"), "deploy.py", *options]
    return subprocess.run(
        command,
        cwd=CHECKOUT,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


def test_a_dry_run_names_every_change_and_only_looks(site: Path) -> None:
    done = _pyinfra(site, "--dry", "-vvv")
    assert done.returncode == 0, done.stderr
    for line in (
        "user mailserver: missing",
        "/etc/mailserver/settings.json: missing",
        "firewall: not loaded",
    ):
        assert line in done.stderr
    asked = [line for line in done.stderr.splitlines() if ">>>" in line]
    assert len(asked) == len(HOSTNAMES)
    assert all("] >>> if command -v python3 >/dev/null; then python3 -c" in line for line in asked)


def test_secrets_stand_in_no_output_however_talkative(site: Path) -> None:
    secret = SiteKeys.load(load_site(site)).open("tls-key.mx1.example.org").decode().splitlines()[1]
    shown = _pyinfra(site, "--dry", "-vvv", "--debug", "--debug-operations")
    assert secret not in shown.stdout + shown.stderr
    assert "$argon2id$" not in shown.stdout + shown.stderr


def test_a_host_with_obstacles_hears_all_of_them_and_the_other_goes_on(site: Path) -> None:
    exim = (Holder(25, 812, "exim4", "exim4.service"),)
    _host(site, HOSTNAMES[0], replace(FRESH, os_version="11", holders=exim))
    done = _pyinfra(site, "--dry")
    assert "runs debian 11" in done.stderr
    assert "port 25 is taken by exim4 (pid 812)" in done.stderr
    assert "[@fake/mx1.example.org] nothing on it was changed" in done.stderr
    assert "[@fake/mx1.example.org]     user mailserver" not in done.stderr
    assert "[@fake/mx2.example.org]     user mailserver: missing" in done.stderr
    assert done.returncode == 1


def test_a_plan_names_the_services_that_the_firewall_will_close(site: Path) -> None:
    web = (Holder(443, 700, "nginx", "nginx.service"),)
    _host(site, HOSTNAMES[0], replace(FRESH, public=web))
    done = _pyinfra(site, "--dry")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("port 443/tcp, nginx") == 1
    mine = "[@fake/mx1.example.org]     "
    assert done.stderr.index(f"{mine}port 443") < done.stderr.index(f"{mine}user mailserver: missing")
    assert "[@fake/mx2.example.org] the firewall will" not in done.stderr


def test_a_host_without_python_is_told_so(site: Path) -> None:
    for name in HOSTNAMES:
        _host(site, name, json.dumps({"missing": "no python3"}))
    done = _pyinfra(site, "-y")
    assert "it has no python3" in done.stderr
    assert done.returncode == 1
    assert "Starting operation" not in done.stderr


def test_missing_keys_are_all_named_before_a_host_is_touched(site: Path) -> None:
    (site / "secrets/tls-key.mx1.example.org.age").unlink()
    (site / "secrets/acme-account.age").unlink()
    done = _pyinfra(site, "-y")
    assert "'tls-key.mx1.example.org' is missing" in done.stderr
    assert "'acme-account' is missing" in done.stderr
    assert done.returncode == 1
    assert "Starting operation" not in done.stderr
