from __future__ import annotations

from dataclasses import replace

import pytest

from mailserver_py.errors import OperatorError
from mailserver_py.provision.releases import chosen_release, superfluous
from mailserver_py.provision.steps import release

from ..worlds import Host, make_wish, settled, whats


def _after(*digests: str) -> Host:
    host = Host()
    for digest in digests:
        host.run(make_wish(release=digest))
    return host


def test_a_release_that_is_there_is_not_sent_again() -> None:
    assert list(release.changes(make_wish(), settled(make_wish()).seen)) == []


def test_a_folder_without_its_mark_is_a_run_that_died_and_is_made_anew() -> None:
    host = settled(make_wish())
    mark = "/opt/mailserver/releases/1.2.3-aaaaaaaa-cp311/complete"
    entries = {path: entry for path, entry in host.seen.entries.items() if path != mark}
    seen = replace(host.seen, entries=entries)
    assert whats(release.changes(make_wish(), seen)) == ["release 1.2.3-aaaaaaaa-cp311: not on the host"]


def test_another_python_makes_another_release() -> None:
    seen = replace(settled(make_wish()).seen, python=(3, 13))
    assert whats(release.changes(make_wish(), seen)) == ["release 1.2.3-aaaaaaaa-cp313: not on the host"]


def test_previous_is_the_newest_that_is_not_this_checkouts_however_often_it_is_asked_for() -> None:
    host = _after("aaaaaaaa", "bbbbbbbb")
    back = make_wish(release="bbbbbbbb", wanted_release="previous")
    assert chosen_release(back, host.seen) == "1.2.3-aaaaaaaa-cp311"
    host.run(back)
    assert chosen_release(back, host.seen) == "1.2.3-aaaaaaaa-cp311"
    assert host.run(back) == []


def test_going_back_restarts_the_processes_with_the_older_release() -> None:
    host = _after("aaaaaaaa", "bbbbbbbb")
    lines = whats(host.run(make_wish(release="bbbbbbbb", wanted_release="previous")))
    assert any(line.startswith("mailserver-worker@1.service: runs with an older") for line in lines)


def test_a_release_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(OperatorError, match=r"on the host: 1\.2\.3-aaaaaaaa-cp311"):
        chosen_release(make_wish(wanted_release="0.9"), settled(make_wish()).seen)


def test_three_releases_are_kept_and_never_the_one_in_use_removed() -> None:
    host = _after("aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd")
    left = {path.rpartition("/")[2] for path in host.seen.below("/opt/mailserver/releases")}
    assert left == {f"1.2.3-{digest}-cp311" for digest in ("bbbbbbbb", "cccccccc", "dddddddd")}
    host.run(make_wish(release="dddddddd", wanted_release="1.2.3-bbbbbbbb-cp311"))
    assert superfluous(host.seen) == ()
