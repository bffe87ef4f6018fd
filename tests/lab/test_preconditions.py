"""Machines on which no lab can stand are told why, and what to do. Tried in throw-away namespaces of the kernel's."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mailserver_py.lab import preconditions

SHOW = """
from mailserver_py.errors import OperatorError
from mailserver_py.lab import preconditions
try:
    preconditions.check("example")
except OperatorError as error:
    print(error)
"""


def check(*before: str, **environment: str) -> str:
    argv = [*before, sys.executable, "-c", SHOW]
    settings = {**os.environ, **environment}
    done = subprocess.run(argv, capture_output=True, text=True, env=settings, timeout=60, check=False)
    assert not done.stderr
    return done.stdout


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="drops privileges, so it needs some")


@needs_root
def test_without_root_the_way_without_hosts_is_named() -> None:
    said = check("setpriv", "--reuid=65534", "--clear-groups")
    assert "needs root" in said
    assert "mailserver try example" in said


@needs_root
def test_a_root_without_its_capabilities_is_told_so() -> None:
    said = check("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-all")
    assert "lacks CAP_SYS_ADMIN" in said
    assert "mailserver try example" in said


@needs_root
def test_missing_programs_are_named_with_their_packages() -> None:
    before = dict(preconditions.TOOLS)
    preconditions.TOOLS["no-such-program"] = "no-such-package"
    try:
        assert preconditions.missing_packages()[-1] == "no-such-package"
    finally:
        preconditions.TOOLS.clear()
        preconditions.TOOLS.update(before)


@needs_root
def test_a_machine_without_a_debian_mirror_is_told_so() -> None:
    hide = 'mount -t tmpfs none /etc/apt && exec "$@"'
    said = check("unshare", "--mount", "--propagation", "private", "sh", "-c", hide, "sh")
    assert "no mirror of Debian" in said
