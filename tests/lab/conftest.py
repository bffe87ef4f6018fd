"""The lab for tests: its own name, so that it stands beside a demo; booted once per session, gone after.

A test that needs hosts takes `lab` (the lab's servers stand) or `site_lab` (and the site's host, fresh), and is marked
`lab`. Hosts of one test come from `fresh_host` and go with it. Where hosts cannot be booted, the tests say why they
are skipped; under CI that is a failure.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailserver_py.errors import OperatorError
from mailserver_py.lab import preconditions, remains
from mailserver_py.lab.host import Host
from mailserver_py.lab.images import RELEASES
from mailserver_py.lab.lab import Lab
from mailserver_py.lab.names import Names
from mailserver_py.spec.load import Site, load_site

from .provisioning import make_target
from .standing import Standing

ROOT = Path(__file__).parents[2]
LAB_NAME = os.environ.get("MAILSERVER_TEST_LAB", "test")
"""Two runs on one machine need two names."""

STANDING_DISK_BYTES = 2**30
"""Of the hosts that many tests share: their disk can be filled and lose power. A deployed host writes 100 MB."""


def copy_site(folder: Path, *, change: Callable[[str], str] = lambda text: text) -> Site:
    """The lab's site in a folder of the test's own, so that its keys are its own; `change` edits the spec's text."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("mail.yaml", "hosts.py"):
        text = (ROOT / "inventories/lab" / name).read_text(encoding="utf-8")
        (folder / name).write_text(change(text) if name == "mail.yaml" else text, encoding="utf-8")
    return load_site(folder)


@pytest.fixture(scope="session")
def bootable() -> None:
    """Skips where no host can be booted."""
    try:
        preconditions.check()
    except OperatorError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def lab(bootable: None) -> Iterator[Lab]:
    """The lab's own servers: network, DNS, authority, stranger."""
    lab = Lab(Names(LAB_NAME))
    remains.remove(lab.names)
    try:
        lab.up()
        yield lab
    finally:
        left = lab.down()
        assert not left.render()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The site `lab`, with keys of this session's."""
    return copy_site(tmp_path_factory.mktemp("site") / "lab")


@pytest.fixture(scope="session")
def site_lab(lab: Lab, site: Site) -> Lab:
    """The lab with the site's zones, and its host freshly booted on Debian 12."""
    lab.up(site)
    return lab


FreshHost = Callable[..., Host]


@pytest.fixture
def fresh_host(lab: Lab) -> Iterator[FreshHost]:
    """Boots a host that goes with the test: `fresh_host("box.lab.test", release="trixie", disk_bytes=…)`."""
    made: list[Host] = []

    def boot(name: str, *, release: str = "bookworm", disk_bytes: int = 0) -> Host:
        host = lab.new_host(name, image=RELEASES[release], disk_bytes=disk_bytes)
        made.append(host)
        return host

    yield boot
    for host in made:
        host.remove(lab.network)


@pytest.fixture(scope="session")
def standing(
    site_lab: Lab, site: Site, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Standing]]:
    """`standing("bookworm")`: the site on one host of that release, deployed once, its records live, all well."""
    made: dict[str, Standing] = {}

    def stand(release: str) -> Standing:
        if release not in made:
            host = site_lab.new_host(
                f"mx-{release}.lab.test", image=RELEASES[release], disk_bytes=STANDING_DISK_BYTES
            )
            target = make_target(site_lab, site, host, tmp_path_factory.mktemp(release) / "lab")
            target.publish()
            first = target.deploy()
            assert first.status == 0, first.text
            print(f"first deploy on {release}: {first.seconds:.1f} s")
            made[release] = Standing(target, first)
        made[release].publish()
        return made[release]

    yield stand
    for one in made.values():
        one.host.remove(site_lab.network)


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def mail_host(request: pytest.FixtureRequest, standing: Callable[[str], Standing]) -> Standing:
    """The deployed host, on each Debian in turn."""
    return standing(request.param)


@pytest.fixture(scope="module")
def one_host(standing: Callable[[str], Standing]) -> Standing:
    """The deployed host on Debian 12 alone, for what does not depend on the release."""
    return standing("bookworm")
