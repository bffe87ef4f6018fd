from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mailserver_py.errors import OperatorError
from mailserver_py.provision.preflight import check_host, notes
from mailserver_py.provision.seen import Holder, Seen

from .worlds import FRESH, NOW_S, Host, make_wish, settled

EXIM = Holder(25, 812, "exim4", "exim4.service")


def _texts(seen: Seen, now_s: float = NOW_S) -> str:
    return "\n".join(reason.render() for reason in check_host(make_wish(), seen, now_s))


def test_a_fresh_debian_has_nothing_against_it() -> None:
    assert check_host(make_wish(), FRESH, NOW_S) == ()
    assert check_host(make_wish(), replace(FRESH, os_version="13", python=(3, 13)), NOW_S) == ()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"uid": 1000}, "root is not root on it and cannot become so by sudo"),
        ({"os_version": "11"}, "runs debian 11"),
        ({"os_id": "ubuntu", "os_version": "24.04"}, "runs ubuntu 24.04"),
        ({"systemd": False}, "systemd is not its init"),
        ({"python": (3, 9)}, "its python3 is 3.9, too old"),
        ({"machine": "riscv64"}, "is a riscv64 machine"),
        ({"free_bytes": {"/opt": 2**20, "/var/lib": 10**10}}, "/opt has 1 MiB free, 300 are needed"),
        ({"now_s": NOW_S - 3_600}, "its clock is 3600 s behind"),
        ({"holders": (EXIM,)}, "port 25 is taken by exim4 (pid 812)"),
    ],
)
def test_each_obstacle_is_named_before_anything_changes(change: dict[str, Any], named: str) -> None:
    (reason,) = check_host(make_wish(), replace(FRESH, **change), NOW_S)
    assert reason.text.startswith(named)
    assert reason.cure


def test_all_obstacles_are_named_at_once() -> None:
    seen = replace(
        FRESH, os_version="11", python=(3, 9), holders=(EXIM,), free_bytes={"/opt": 0, "/var/lib": 0}
    )
    assert len(check_host(make_wish(), seen, NOW_S)) == 5


def test_a_foreign_programs_unit_is_named_so_that_it_can_be_stopped() -> None:
    assert "systemctl disable --now exim4.service" in _texts(replace(FRESH, holders=(EXIM,)))


def test_our_own_workers_and_sockets_are_no_foreign_programs() -> None:
    ours = (
        Holder(25, 1, "systemd", "init.scope"),
        Holder(25, 99, "mailserver", "mailserver-worker@1.service"),
    )
    assert check_host(make_wish(), replace(settled(make_wish()).seen, holders=ours), NOW_S) == ()


def test_a_socket_of_systemds_that_is_not_ours_is_foreign() -> None:
    assert "port 25 is taken by systemd" in _texts(replace(FRESH, holders=(Holder(25, 1, "systemd", ""),)))


def test_a_settled_host_needs_less_room() -> None:
    room = {"/opt": 100 * 2**20, "/var/lib": 100 * 2**20}
    assert check_host(make_wish(), replace(settled(make_wish()).seen, free_bytes=room), NOW_S) == ()
    assert check_host(make_wish(), replace(FRESH, free_bytes=room), NOW_S) != ()


def _led_on() -> Host:
    """A host whose second release led the store on."""
    host = Host()
    host.run(make_wish(account_schema=3))
    host.run(make_wish(release="bbbbbbbb"))
    host.seen = replace(host.seen, stored={"site": 1, "account": 3})
    return host


def test_the_way_back_to_a_release_that_cannot_open_the_store_is_refused_with_the_cure() -> None:
    host = _led_on()
    back = make_wish(release="bbbbbbbb", wanted_release="previous")
    (reason,) = check_host(back, host.seen, NOW_S)
    assert reason.text == (
        "release 1.2.3-aaaaaaaa-cp311 cannot open the store, whose form is newer: account 4 (it knows 3)"
    )
    assert "put the backup of /var/lib/mailserver from before back" in reason.cure
    assert check_host(make_wish(release="bbbbbbbb"), host.seen, NOW_S) == ()


def test_an_older_checkout_is_refused_like_an_older_release() -> None:
    (reason,) = check_host(make_wish(release="cccccccc", account_schema=3), _led_on().seen, NOW_S)
    assert "account 4 (it knows 3)" in reason.text


def test_the_way_back_is_open_once_the_backup_is_in_place() -> None:
    host = _led_on()
    stopped = {name: {**unit, "ActiveState": "inactive"} for name, unit in host.seen.units.items()}
    back = make_wish(release="bbbbbbbb", wanted_release="previous")
    assert check_host(back, replace(host.seen, units=stopped), NOW_S) == ()
    led_on = replace(host.seen, units=stopped, stored={"site": 1, "account": 4})
    assert len(check_host(back, led_on, NOW_S)) == 1


def test_the_way_back_between_releases_of_one_form_is_open() -> None:
    host = settled(make_wish())
    host.run(make_wish(release="bbbbbbbb"))
    back = make_wish(release="bbbbbbbb", wanted_release="previous")
    assert check_host(back, replace(host.seen, stored={"site": 1, "account": 4}), NOW_S) == ()


def test_a_release_to_go_back_to_that_is_missing_is_named_before_anything_changes() -> None:
    with pytest.raises(OperatorError, match="has no release"):
        check_host(make_wish(wanted_release="previous"), settled(make_wish()).seen, NOW_S)


OPEN = (
    Holder(443, 700, "nginx", "nginx.service"),
    Holder(443, 701, "nginx", "nginx.service"),
    Holder(51820, 0, "the kernel", "", "udp"),
    Holder(1194, 702, "openvpn", "openvpn.service", "udp"),
)
NEVER_CLOSED = (
    Holder(22, 600, "sshd", "ssh.service"),
    Holder(2222, 600, "sshd", "ssh.service"),
    Holder(25, 812, "exim4", "exim4.service"),
    Holder(68, 601, "dhclient", "", "udp"),
    Holder(40_001, 602, "unbound", "", "udp"),
    Holder(8080, 603, "docker-proxy", "docker.service"),
)


def test_what_the_firewall_will_close_is_named_once_and_is_no_reason_to_stop() -> None:
    seen = replace(FRESH, public=(*OPEN, *NEVER_CLOSED), ssh_port=2222)
    assert check_host(make_wish(), seen, NOW_S) == ()
    heading, *lines = notes(make_wish(), seen)
    assert "closes to others what listens here now" in heading
    assert lines == [
        "    port 443/tcp, nginx",
        "    port 1194/udp, openvpn",
        "    port 51820/udp, the kernel",
    ]


def test_a_firewall_that_closes_nothing_is_not_spoken_of() -> None:
    assert notes(make_wish(), replace(FRESH, public=NEVER_CLOSED, ssh_port=2222)) == ()
    assert notes(make_wish(), FRESH) == ()


def test_what_is_closed_already_is_not_named_again() -> None:
    assert notes(make_wish(), replace(settled(make_wish()).seen, public=OPEN)) == ()
