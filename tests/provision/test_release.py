from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from mailserver_py.errors import OperatorError
from mailserver_py.mailstore.embedded.schema import ACCOUNT_VERSION, SITE_VERSION
from mailserver_py.provision.release import (
    AT_THE_OPERATORS,
    SCHEMA_SOURCE,
    Platform,
    Release,
    digest_sources,
    release_files,
)
from mailserver_py.provision.texts import CHECKOUT

BOOKWORM = Platform((3, 11), "x86_64", "2.36")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The least that a release is made of."""
    package = tmp_path / "mailserver_py"
    package.mkdir()
    (package / "__init__.py").write_text('"""."""\n')
    (tmp_path / SCHEMA_SOURCE).parent.mkdir(parents=True)
    (tmp_path / SCHEMA_SOURCE).write_bytes((CHECKOUT / SCHEMA_SOURCE).read_bytes())
    (tmp_path / "README.md").write_text("#\n")
    (tmp_path / "LICENSE").write_text("MIT\n")
    for name in ("pyproject.toml", "requirements-host.txt", "requirements-installer.txt"):
        (tmp_path / name).write_bytes((CHECKOUT / name).read_bytes())
    return tmp_path


def test_an_unchanged_checkout_is_an_unchanged_release(checkout: Path) -> None:
    before = Release(checkout).id(BOOKWORM)
    (checkout / "mailserver_py/__pycache__").mkdir()
    (checkout / "mailserver_py/__pycache__/x.pyc").write_bytes(b"x")
    (checkout / "notes").write_text("not part of it")
    assert Release(checkout).id(BOOKWORM) == before


@pytest.mark.parametrize(
    "name",
    ["mailserver_py/__init__.py", "pyproject.toml", "requirements-host.txt", "requirements-installer.txt"],
)
def test_whatever_ends_up_on_the_host_changes_the_release(checkout: Path, name: str) -> None:
    before = digest_sources(checkout)
    with (checkout / name).open("a") as file:
        file.write("# more\n")
    assert digest_sources(checkout) != before


def test_what_stays_at_the_operators_is_no_part_of_the_release(checkout: Path) -> None:
    before = digest_sources(checkout)
    for room in ("lab", "provision"):
        (checkout / "mailserver_py" / room).mkdir()
        (checkout / "mailserver_py" / room / "x.py").write_text("x = 1\n")
    assert digest_sources(checkout) == before
    assert not any(path.name == "x.py" for path in release_files(checkout))


def test_the_id_names_version_sources_and_python(checkout: Path) -> None:
    release = Release(checkout)
    assert release.id(BOOKWORM) == f"{release.version}-{release.digest[:8]}-cp311"
    assert release.id(Platform((3, 13), "x86_64")).endswith("-cp313")


def test_a_checkout_with_parts_missing_is_refused_by_name(checkout: Path) -> None:
    (checkout / "requirements-host.txt").unlink()
    with pytest.raises(OperatorError, match=r"requirements-host\.txt"):
        digest_sources(checkout)


def test_wheels_for_glibcs_newer_than_the_hosts_are_not_taken() -> None:
    options = BOOKWORM.pip_options()
    assert "manylinux_2_36_x86_64" in options
    assert "manylinux_2_17_x86_64" in options
    assert "manylinux_2_37_x86_64" not in options


def test_the_archive_holds_our_wheel_locked_by_its_digest(checkout: Path) -> None:
    release = Release(checkout)
    locks = b"".join((checkout / f"requirements-{name}.txt").read_bytes() for name in ("host", "installer"))
    wheels = checkout / "build/wheelhouse" / f"{hashlib.sha256(locks).hexdigest()[:16]}-cp311-x86_64"
    wheels.mkdir(parents=True)  # stands for what an earlier run fetched
    (wheels / "pip-1-py3-none-any.whl").write_bytes(b"pip")
    with tarfile.open(release.archive(BOOKWORM)) as tar:
        names = tar.getnames()
        lock = tar.extractfile("install.txt")
        about = tar.extractfile("about.json")
        own = tar.extractfile(f"wheels/mailserver_py-{release.version}-py3-none-any.whl")
        assert lock is not None
        assert about is not None
        schema = json.load(about)["schema"]
        assert schema == release.schema == {"site": SITE_VERSION, "account": ACCOUNT_VERSION}
        assert own is not None
        digest = hashlib.sha256(own.read()).hexdigest()
        assert f"mailserver-py=={release.version} --hash=sha256:{digest}" in lock.read().decode()
    assert "installer/pip-1-py3-none-any.whl" in names


HOST_COMMANDS = ("serve", "certificate", "verify", "trace", "store")
IMPORT_AS_ON_A_HOST = """
import importlib, importlib.abc, sys
class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[2].split(",") or name in sys.argv[3].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
importlib.import_module(sys.argv[1])
"""


@pytest.mark.parametrize("command", HOST_COMMANDS)
def test_what_the_units_start_needs_only_what_the_host_gets(command: str) -> None:
    absent = "pyinfra,paramiko,jinja2,ruamel,pyrage,gevent"
    rooms = ",".join(f"mailserver_py.{room}" for room in AT_THE_OPERATORS)
    locked = (CHECKOUT / "requirements-host.txt").read_text()
    assert not any(f"\n{name}==" in locked for name in absent.split(","))
    subprocess.run(
        [sys.executable, "-c", IMPORT_AS_ON_A_HOST, f"mailserver_py.cli.{command}", absent, rooms],
        cwd=CHECKOUT,
        check=True,
        timeout=30,
    )
