"""No open relay: strangers cannot send through us, in any of the spellings that ever worked somewhere (RFC 5321 §3.6,
promises S27), and mail for nobody is refused at once instead of bounced later.
"""

from __future__ import annotations

from functools import partial

from mailserver_py.verify.clients import ClientError, in_thread, open_smtp_in_the_clear
from mailserver_py.verify.shape import Check, Outcome
from mailserver_py.verify.world import Door, World

OUTSIDE = "probe@relay-test.example.net"
"""Nobody's: example.net is reserved (RFC 2606 §3), so that a relay that is open would still reach no one."""


def forms(domain: str) -> tuple[str, ...]:
    """RCPT arguments that reach outside, as open relays were once made to take them."""
    local, outside = OUTSIDE.split("@")
    return (
        f"<{OUTSIDE}>",
        f"<{local}%{outside}@{domain}>",
        f'<"{OUTSIDE}"@{domain}>',
        f"<@{domain}:{OUTSIDE}>",
        f"<{outside}!{local}@{domain}>",
        f"<{OUTSIDE}@{domain}>",
        f"<{local}@{outside}.>",
    )


def _probe(door: Door, domain: str, *, catch_all: bool) -> list[tuple[str, str]]:
    """(code, what was accepted) for everything that should not have been."""
    accepted: list[tuple[str, str]] = []
    client = open_smtp_in_the_clear(door)
    try:
        client.ehlo()
        for sender in ("<probe@relay-test.example.com>", f"<postmaster@{domain}>", "<>"):
            for form in forms(domain):
                client.docmd("RSET")
                code, _ = client.docmd("MAIL", f"FROM:{sender}")
                if code != 250:
                    continue
                code, _ = client.docmd("RCPT", f"TO:{form}")
                if 200 <= code < 300 and not (catch_all and form.endswith(f"@{domain}>")):
                    accepted.append(("relay.open", f"from {sender} to {form}"))
        client.docmd("RSET")
        client.docmd("MAIL", "FROM:<probe@relay-test.example.com>")
        code, _ = client.docmd("RCPT", f"TO:<nobody-0f3a9c71@{domain}>")
        if 200 <= code < 300 and not catch_all:
            accepted.append(("relay.unknown-recipient", f"nobody-0f3a9c71@{domain}"))
    finally:
        client.close()
    return accepted


async def run(world: World) -> Outcome:
    """Knocks on every door for the world, without logging in; no letter is ever sent."""
    outcome = Outcome()
    domain, wish = next(iter(world.spec.domains.items()))
    for door in world.doors_of("smtp", login=False):
        try:
            accepted = await in_thread(partial(_probe, door, domain, catch_all=wish.catch_all is not None))
        except ClientError as error:
            outcome.cannot_tell("relay.unknown", str(door), seen=str(error), fix="mend the listener first")
            continue
        for code, what in accepted:
            outcome.find(
                code,
                str(door),
                seen=f"accepted {what}",
                wanted="550 at RCPT",
                fix="take the host off the network until the deployed release refuses this; then redeploy",
            )
        if not accepted:
            outcome.notes.append(f"{door} at {door.address}: {3 * len(forms(domain))} attempts refused")
    return outcome


CHECK = Check(
    "relay",
    "No open relay, no mail taken for nobody",
    run,
    applies=lambda w: bool(w.doors_of("smtp", login=False)),
)
