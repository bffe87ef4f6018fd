"""PTR, and whether it leads back: many receivers refuse mail from an address without (RFC 1912 §2.1)."""

from __future__ import annotations

import ipaddress

from mailserver_py.net.resolver import Status
from mailserver_py.verify.shape import Check, Outcome
from mailserver_py.verify.world import World


async def run(world: World) -> Outcome:
    """Asks for the name of each public address, and for the addresses of that name."""
    outcome = Outcome()
    for name, host in world.spec.hosts.items():
        for address in (host.ipv4, host.ipv6):
            if address is not None:
                await _look_at(world, outcome, name, address)
    return outcome


async def _look_at(
    world: World, outcome: Outcome, name: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address
) -> None:
    ask = f"ask whoever gives you {address} (the provider) to set its PTR record to {name}"
    answer = await world.resolver.lookup(address.reverse_pointer, "PTR")
    if answer.status.temporary:
        outcome.cannot_tell("ptr.unknown", str(address), seen=answer.status.value, fix="look at the resolver")
        return
    names = sorted(str(record).rstrip(".").lower() for record in answer.records)
    if not names:
        outcome.find("ptr.missing", str(address), seen=answer.status.value, wanted=name, fix=ask)
    elif name not in names:
        outcome.find("ptr.differs", str(address), seen=", ".join(names), wanted=name, fix=ask)
    else:
        forward = await world.resolver.lookup(name, "A" if address.version == 4 else "AAAA")
        if forward.status is Status.OK and str(address) in {str(record) for record in forward.records}:
            outcome.notes.append(f"{address} ↔ {name}")
            return
        outcome.find(
            "ptr.not-confirmed",
            str(address),
            seen=f"{name} has {', '.join(map(str, forward.records)) or forward.status.value}",
            wanted=f"{name} has {address}",
            fix="publish the host's address records: mailserver publish SITE",
        )


CHECK = Check("reverse", "Reverse DNS of each host, confirmed forwards", run)
