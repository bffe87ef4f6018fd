"""What must hold of a host before anything on it is changed; all that does not, at once, each with its cure."""

from __future__ import annotations

from collections.abc import Iterator

from mailserver_py.errors import Reason

from .releases import chosen_release, current_release, is_complete, platform_of
from .seen import Seen
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


def check_host(wish: Wish, seen: Seen, now_s: float) -> tuple[Reason, ...]:
    """The reasons not to touch a host; `now_s` is the operator's clock."""
    return tuple(_reasons(wish, seen, now_s))


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
