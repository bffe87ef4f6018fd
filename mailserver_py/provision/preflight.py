"""What must hold of a host before anything on it is changed; all that does not, at once, each with its cure."""

from __future__ import annotations

from collections.abc import Iterator

from mailserver_py.errors import Reason

from .releases import chosen_release, current_release, is_complete, platform_of
from .seen import Holder, Seen
from .steps.firewall import open_ports
from .units import QUEUE, workers
from .wish import STATE, Wish

DEBIANS = ("12", "13")
OLDEST_PYTHON = (3, 11)
"""Debian 12's."""
MACHINES = ("x86_64", "aarch64")
"""For which every wheel of the lock is published."""
FREE_BYTES = 300 * 1024 * 1024
"""A release takes 60 MB and its archive 18; the rest is for the first letters and apt's downloads."""
SPARE_BYTES = 50 * 1024 * 1024
"""On a host that has its release, to write settings and journal."""
CLOCK_S = 300
"""Off by more, signatures and certificates are refused by others."""

DHCP_PORTS = (68, 546)
"""Clients of DHCP get their answers (`firewall.nft`)."""
EPHEMERAL_PORT = 32_768
"""From here on a UDP socket most likely is a client's (ip_local_port_range), unless it is the kernel's (WireGuard)."""
DOCKER_PROXY = "docker-proxy"
"""Holds the ports that Docker forwards; what is forwarded does not pass the chain that we close."""


def check_host(wish: Wish, seen: Seen, now_s: float) -> tuple[Reason, ...]:
    """The reasons not to touch a host; `now_s` is the operator's clock."""
    return tuple(_reasons(wish, seen, now_s))


def notes(wish: Wish, seen: Seen) -> tuple[str, ...]:
    """What the operator should know before it happens, and what is no reason to stop."""
    if seen.firewall:
        return ()  # what our rules close is closed already
    let_in = open_ports(wish, seen)
    closed = {
        (holder.protocol, holder.port, holder.process)
        for holder in seen.public
        if not (holder.protocol == "tcp" and holder.port in let_in)
        and not (holder.protocol == "udp" and _is_clients(holder))
        and holder.process != DOCKER_PROXY
    }
    if not closed:
        return ()
    return (
        "the firewall will let in what the spec opens, and SSH; it closes to others what listens here now:",
        *(f"    port {port}/{protocol}, {process}" for protocol, port, process in sorted(closed)),
    )


def _is_clients(holder: Holder) -> bool:
    """Whether a UDP socket only waits for answers, which are let in."""
    return holder.port in DHCP_PORTS or (holder.port >= EPHEMERAL_PORT and holder.pid != 0)


def _reasons(wish: Wish, seen: Seen, now_s: float) -> Iterator[Reason]:
    user = wish.host.ssh.user
    if seen.uid != 0:
        yield Reason(
            f"{user} is not root on it and cannot become so by sudo",
            f"log in as root, or give {user} password-less sudo (`{user} ALL=(ALL) NOPASSWD: ALL`)",
        )
    if seen.os_id != "debian" or seen.os_version not in DEBIANS:
        found = f"{seen.os_id or 'an unknown system'} {seen.os_version}".strip()
        yield Reason(f"runs {found}", f"use a fresh Debian {' or '.join(DEBIANS)}")
    if not seen.systemd:
        yield Reason(
            "systemd is not its init", "use a host that boots with systemd; a plain container does not"
        )
    if seen.python < OLDEST_PYTHON:
        version = ".".join(map(str, seen.python))
        yield Reason(f"its python3 is {version}, too old", "use Debian's own python3 (3.11 or newer)")
    if seen.machine not in MACHINES:
        yield Reason(f"is a {seen.machine} machine", f"use one of {', '.join(MACHINES)}")
    yield from _foreign_programs(wish, seen)
    yield from _space(wish, seen)
    yield from _newer_store(wish, seen)
    if abs(off_s := seen.now_s - now_s) > CLOCK_S:
        yield Reason(
            f"its clock is {abs(off_s):.0f} s {'ahead of' if off_s > 0 else 'behind'} this machine's",
            "set the wrong one (`timedatectl set-ntp true`, or `date -s`)",
        )


def _foreign_programs(wish: Wish, seen: Seen) -> Iterator[Reason]:
    # systemd itself (pid 1) holds our sockets; so does every worker.
    ours = {door.port for door in wish.doors if seen.active(door.unit)}
    told: set[tuple[int, str]] = set()
    for holder in seen.holders:
        own = holder.unit.startswith("mailserver-") or (holder.pid == 1 and holder.port in ours)
        if own or (holder.port, holder.process) in told:
            continue
        told.add((holder.port, holder.process))
        unit = holder.unit if holder.unit.endswith(".service") else ""
        stop = f"`systemctl disable --now {unit}`, or remove its package" if unit else "stop and remove it"
        yield Reason(
            f"port {holder.port} is taken by {holder.process} (pid {holder.pid})",
            f"{stop}; or close the listener in the spec",
        )


def _space(wish: Wish, seen: Seen) -> Iterator[Reason]:
    settled = is_complete(wish.release.id(platform_of(seen)), seen)
    least = SPARE_BYTES if settled else FREE_BYTES
    for path, free in sorted(seen.free_bytes.items()):
        if path != "/etc" and free < least:
            yield Reason(
                f"{path} has {free // 2**20} MiB free, {least // 2**20} are needed",
                "make room, or give the host a larger disk",
            )


def _newer_store(wish: Wish, seen: Seen) -> Iterator[Reason]:
    """An older release refuses a store that a newer one has led on, and would serve nobody."""
    chosen = chosen_release(wish, seen)
    ours = chosen == wish.release.id(platform_of(seen))
    known = wish.release.schema if ours else seen.schemas.get(chosen, {})
    forms = dict(seen.stored)
    running = current_release(seen)
    if any(seen.active(unit) for unit in (*workers(wish, seen), QUEUE)):
        # It leads each account on when that is next opened; some headers may not show it yet.
        for name, version in seen.schemas.get(running, {}).items():
            forms[name] = max(forms.get(name, 0), version)
    newer = {name: version for name, version in sorted(forms.items()) if version > known.get(name, 0)}
    if newer:
        what = ", ".join(
            f"{name} {version} (it knows {known.get(name, 'none')})" for name, version in newer.items()
        )
        yield Reason(
            f"release {chosen} cannot open the store, whose form is newer: {what}",
            f"stay with {running or 'a newer release'}; or stop `mailserver-*` on the host, put the backup of {STATE}"
            " from before back in its place (what came since is lost), and deploy again",
        )
