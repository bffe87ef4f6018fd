"""The firewall: an nftables table of our own that lets in what the spec opens, SSH, and nothing else.

Loaded in one transaction by a unit of its own, before the network is up. The loaded table names the digest of its
rules, so that what the kernel does is compared, not what some file says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from ..filesystem import File, difference
from ..seen import Seen
from ..texts import render_text
from ..units import FIREWALL, FIREWALL_RULES, RELOAD, unit_text
from ..wish import UNITS, Wish
from .shape import Change, Step


def changes(wish: Wish, seen: Seen) -> Iterator[Change]:
    digest, rules = rule_set(wish, seen)
    yield from difference(
        [File(FIREWALL_RULES, rules), File(f"{UNITS}/{FIREWALL}", unit_text(FIREWALL, wish))],
        seen,
        then=RELOAD,
    )
    unit = seen.unit(FIREWALL)
    if digest not in seen.firewall:
        reason = "other rules are loaded" if seen.firewall else "not loaded"
    elif not seen.active(FIREWALL) or unit.get("UnitFileState") != "enabled":
        reason = "not kept for the next boot"
    else:
        return
    yield Change(
        what=(f"firewall: {reason}",),
        script=f"nft -c -f {FIREWALL_RULES} && systemctl enable --quiet {FIREWALL}"
        f" && systemctl start {FIREWALL} && systemctl reload {FIREWALL}",
    )


def rule_set(wish: Wish, seen: Seen) -> tuple[str, bytes]:
    """The rules, and the digest that their table is marked with."""
    ports = sorted(open_ports(wish, seen))
    plain = render_text("etc/mailserver/firewall.nft", digest="", ports=ports)
    digest = hashlib.sha256(plain).hexdigest()[:32]
    return digest, render_text("etc/mailserver/firewall.nft", digest=digest, ports=ports)


def open_ports(wish: Wish, seen: Seen) -> set[int]:
    """Of TCP; nothing of UDP is let in that nobody here asked for."""
    # The port that the operator came in on stays open whatever the spec says: behind a port forwarding it is
    # another than the spec's, and a deploy must not lock its operator out.
    ssh = {wish.host.ssh.port, seen.ssh_port or wish.host.ssh.port}
    return ssh | {door.port for door in wish.doors}


STEP = Step("firewall", changes)
