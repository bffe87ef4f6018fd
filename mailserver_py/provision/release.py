"""A release: our wheel, the wheels it needs, and what installs them on a host without an index.

Built at the operator's from this checkout, because hosts should need no compiler, no index and no way out. The id
is a digest of the sources and locks, so that an unchanged checkout is an unchanged release, and it names the
Python it was made for, so that a host whose Debian was upgraded gets a new one. What pip downloads is checked
against the locked digests here and once more on the host.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mailserver_py.errors import OperatorError, Reason, WorldError

LOCK = "requirements-host.txt"
INSTALLER = "requirements-installer.txt"
OWN_NAME = "mailserver-py"

ABOUT = "about.json"
"""In a release's folder: what must be known of it before anything changes to it."""
SCHEMA_SOURCE = "mailserver_py/mailstore/embedded/schema.py"
SCHEMA_VERSION = re.compile(r"^(SITE|ACCOUNT)_VERSION = (\d+)$", re.MULTILINE)
"""Read, not imported: it is asked of a checkout, and the probe asks it of releases that have no `about.json`."""

OLDEST_GLIBC_MINOR = 17
"""Of the `manylinux` wheels that are taken, glibc 2.17 is the oldest kind still published (PEP 599)."""


AT_THE_OPERATORS = ("lab", "provision")
"""Rooms that no host needs: it gets only what its daemon, its certificate and its own verification import."""


@dataclass(frozen=True, slots=True)
class Platform:
    """What a host's wheels must fit."""

    python: tuple[int, int]
    machine: str
    """`x86_64` or `aarch64`."""
    glibc: str = "2.36"

    @property
    def tag(self) -> str:
        return f"cp{self.python[0]}{self.python[1]}"

    def pip_options(self) -> list[str]:
        """Options of `pip download` for another machine than this one."""
        newest = int(self.glibc.partition(".")[2] or OLDEST_GLIBC_MINOR)
        kinds = [f"manylinux_2_{minor}" for minor in range(newest, OLDEST_GLIBC_MINOR - 1, -1)]
        options = ["--python-version", f"{self.python[0]}.{self.python[1]}", "--implementation", "cp"]
        for kind in [*kinds, "manylinux2014"]:
            options += ["--platform", f"{kind}_{self.machine}"]
        return options


class Release:
    """The release that a checkout makes. Reads the sources when first asked."""

    def __init__(self, checkout: Path, build: Path | None = None) -> None:
        self.checkout = checkout
        self.build = build or checkout / "build"
        """Wheels and finished releases; may be deleted at any time."""
        self._building = threading.Lock()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that ends up in the release."""
        return digest_sources(self.checkout)

    @cached_property
    def version(self) -> str:
        text = (self.checkout / "pyproject.toml").read_text(encoding="utf-8")
        return str(tomllib.loads(text)["project"]["version"])

    def id(self, platform: Platform) -> str:
        """The name of its folder on a host: `<version>-<digest>-cp3XX`."""
        return f"{self.version}-{self.digest[:8]}-{platform.tag}"

    @cached_property
    def schema(self) -> Mapping[str, int]:
        """The newest forms of the store's databases that the release knows, as it will tell in its `about.json`."""
        text = (self.checkout / SCHEMA_SOURCE).read_text(encoding="utf-8")
        return {name.lower(): int(number) for name, number in SCHEMA_VERSION.findall(text)}

    def archive(self, platform: Platform) -> Path:
        """The file to send: one tar with every wheel, the locks and pip. Built unless it is there already.

        Raises WorldError when the wheels cannot be fetched, OperatorError when the checkout is not whole.
        """
        place = self.build / "releases" / f"{self.id(platform)}-{platform.machine}.tar"
        with self._building:  # the hosts of one run ask at the same time
            if not place.exists():
                wheels = self._wheelhouse(platform)
                with _workspace(self.build) as work:
                    own = self._own_wheel(work)
                    _write_tar(work / "release.tar", self._members(wheels, own))
                    place.parent.mkdir(parents=True, exist_ok=True)
                    (work / "release.tar").replace(place)
        return place

    def _wheelhouse(self, platform: Platform) -> Path:
        """The locked wheels for a host's platform, pip's own included; fetched once per lock and platform."""
        locks = b"".join((self.checkout / name).read_bytes() for name in (LOCK, INSTALLER))
        key = hashlib.sha256(locks).hexdigest()[:16]
        place = self.build / "wheelhouse" / f"{key}-{platform.tag}-{platform.machine}"
        if not place.exists():
            with _workspace(self.build) as work:
                for lock in (LOCK, INSTALLER):
                    _run(
                        [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"],
                        ["--only-binary=:all:", "--require-hashes", "--no-deps", *platform.pip_options()],
                        ["--dest", str(work), "--requirement", str(self.checkout / lock)],
                        doing="fetching the wheels for the host",
                    )
                place.parent.mkdir(parents=True, exist_ok=True)
                work.rename(place)
        return place

    def _own_wheel(self, work: Path) -> Path:
        sources = work / "sources"
        for path in [*release_files(self.checkout), self.checkout / "README.md", self.checkout / "LICENSE"]:
            copy = sources / path.relative_to(self.checkout)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        if digest_sources(sources) != self.digest:
            raise WorldError("the checkout changed while its release was built; run again")
        _run(
            [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(work)],
            doing="building our own wheel",
            folder=sources,
        )
        return next(work.glob("mailserver_py-*.whl"))

    def _members(self, wheels: Path, own: Path) -> Iterator[tuple[str, bytes]]:
        own_digest = hashlib.sha256(own.read_bytes()).hexdigest()
        lock = (self.checkout / LOCK).read_text(encoding="utf-8")
        about = {"version": self.version, "schema": self.schema}
        yield ABOUT, (json.dumps(about, sort_keys=True) + "\n").encode()
        yield "install.txt", f"{lock}\n{OWN_NAME}=={self.version} --hash=sha256:{own_digest}\n".encode()
        for wheel in sorted([*wheels.glob("*.whl"), own], key=lambda path: path.name):
            folder = "installer" if wheel.name.startswith("pip-") else "wheels"
            yield f"{folder}/{wheel.name}", wheel.read_bytes()


def release_files(checkout: Path) -> list[Path]:
    """The package without the rooms that stay at the operator's, its project file and its locks, in sorted order."""
    package = checkout / "mailserver_py"
    files = [
        path
        for path in package.rglob("*")
        if path.is_file()
        and path.parent.name != "__pycache__"
        and path.relative_to(package).parts[0] not in AT_THE_OPERATORS
    ]
    return sorted([*files, *(checkout / name for name in ("pyproject.toml", LOCK, INSTALLER))])


def digest_sources(checkout: Path) -> str:
    """SHA-256 over the release's files: paths and contents, in sorted order."""
    files = release_files(checkout)
    missing = [path.name for path in files if not path.exists()]
    if missing:
        raise OperatorError(
            Reason(
                f"the checkout has no {', '.join(missing)}",
                "run the deploy from a whole checkout; `git status` names what is gone",
            )
        )
    total = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        total.update(f"{path.relative_to(checkout).as_posix()}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()


def _write_tar(place: Path, members: Iterator[tuple[str, bytes]]) -> None:
    """A tar without times or owners, so that equal members are equal octets."""
    with tarfile.open(place, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in members:
            row = tarfile.TarInfo(name)
            row.size, row.mode = len(content), 0o644
            tar.addfile(row, io.BytesIO(content))


@contextmanager
def _workspace(build: Path) -> Iterator[Path]:
    """A folder on the same disk as its result, which is renamed into place when whole."""
    build.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=build, prefix=".work-", ignore_cleanup_errors=True) as name:
        work = Path(name) / "new"
        work.mkdir()
        yield work


def _run(*argv: list[str], doing: str, folder: Path | None = None) -> None:
    command = [word for part in argv for word in part]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(  # noqa: S603 a list of our own words, no shell
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        words = "\n".join((done.stdout + done.stderr).strip().splitlines()[-8:])
        raise WorldError(f"{doing} failed (exit status {done.returncode}):\n{words}")
