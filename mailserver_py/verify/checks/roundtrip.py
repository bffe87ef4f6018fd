"""Round trip: a marked letter by submission, read back by IMAP and by POP3, byte for byte, with the time it took."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from email.utils import parsedate_to_datetime
from functools import partial

from mailserver_py.verify.clients import ClientError, find_by_imap, find_by_pop3, remove_by_imap, submit
from mailserver_py.verify.marked import Marked, marked_letter
from mailserver_py.verify.shape import Check, Outcome
from mailserver_py.verify.tokens import new_token
from mailserver_py.verify.world import Door, Login, World

PATIENCE_S = 20.0
"""How long a letter to ourselves may take; it takes milliseconds."""

POLL_S = 0.1

CLOCK_SKEW = timedelta(seconds=60)
"""More, and dates in letters mislead, and certificates and one-time codes begin to fail."""


async def run(world: World) -> Outcome:
    """One letter from the verification account to itself, by the first submission door of each host."""
    outcome = Outcome()
    if world.account is None:
        outcome.cannot_tell(
            "roundtrip.no-password",
            "the verification account",
            seen="its password cannot be read here",
            fix="run mailserver keys SITE, or verify with an identity that can read the site's secrets",
        )
        return outcome
    done: set[str] = set()
    for door in world.doors_of("smtp", login=True):
        if door.host not in done:
            done.add(door.host)
            await _round(world, outcome, door, world.account)
    return outcome


async def _round(world: World, outcome: Outcome, door: Door, login: Login) -> None:
    letter = marked_letter(token=new_token(), sender=login.address, recipient=login.address, at=world.now())
    started = time.monotonic()
    if not await send(world, outcome, door, login, recipient=login.address, letter=letter):
        return
    outcome.notes.append(f"submitted to {door} in {time.monotonic() - started:.2f} s")
    started = time.monotonic()
    seen: dict[str, bytes] = {}
    readers = {
        protocol: (doors[0], find)
        for protocol, find in (("imap", find_by_imap), ("pop3", partial(find_by_pop3, world.maildrop)))
        if (doors := [d for d in world.doors_of(protocol, login=True) if d.host == door.host])
    }
    try:
        for protocol, (reader, find) in readers.items():
            data = await wait_for(partial(find, reader, login, world.trust, letter.token), PATIENCE_S)
            if data is None:
                outcome.find(
                    f"roundtrip.not-seen-by-{protocol}",
                    str(reader),
                    seen=f"not there after {PATIENCE_S:.0f} s",
                    wanted="the letter that was accepted",
                    fix=f"on the host: mailserver trace {login.address}",
                )
                continue
            seen[protocol] = data
            outcome.notes.append(f"read by {protocol.upper()} after {time.monotonic() - started:.2f} s")
            _compare(outcome, reader, letter, data)
    except ClientError as error:
        outcome.find(
            "roundtrip.unreadable",
            str(door),
            seen=error.text,
            wanted="the letter read back",
            fix="see the login check",
        )
    await tidy(world, outcome, login, letter.token)
    if len(set(seen.values())) > 1:
        outcome.find(
            "roundtrip.differs",
            door.host,
            seen="IMAP and POP3 show different bytes",
            wanted="the same letter",
            fix="this is a fault of the server: on the host run mailserver store check",
        )
    if seen:
        _clock(world, outcome, door, next(iter(seen.values())))


async def send(
    world: World, outcome: Outcome, door: Door, login: Login, *, recipient: str, letter: Marked
) -> bool:
    """Submits; a refusal becomes the finding that it means."""
    try:
        await submit(door, login, world.trust, recipient, letter.data)
    except ClientError as error:
        full = re.match(r"45\d 4\.3\.1", error.text) is not None  # RFC 3463 §3.4: mail system full
        outcome.find(
            "host.disk-full" if full else "roundtrip.refused",
            str(door),
            seen=error.text,
            wanted="the letter accepted",
            fix="free space on the host, or give it a larger disk; mail waits at its senders meanwhile"
            if full
            else "see the listeners and login checks; on the host: mailserver trace " + login.address,
        )
        return False
    return True


async def wait_for(look: Callable[[], Awaitable[bytes | None]], patience_s: float) -> bytes | None:
    """Looks again and again until something is there or patience ends. Raises ClientError."""
    end = time.monotonic() + patience_s
    while True:
        found = await look()
        if found is not None or time.monotonic() >= end:
            return found
        await asyncio.sleep(POLL_S)


def _compare(outcome: Outcome, door: Door, letter: Marked, data: bytes) -> None:
    if not data.endswith(letter.data):
        outcome.find(
            "roundtrip.altered",
            str(door),
            seen=f"{len(data)} octets that do not end with the {len(letter.data)} that were sent",
            wanted="fields added in front, nothing else changed",
            fix="this is a fault of the server: on the host run mailserver store check",
        )


def _clock(world: World, outcome: Outcome, door: Door, data: bytes) -> None:
    """Compares the date of our server's own Received field with the time here."""
    received = re.search(
        rb"^Received:(?:[^\n]|\n[ \t])*?;\s*((?:[^\r\n]|\r\n[ \t])+)\r\n", data, re.MULTILINE | re.IGNORECASE
    )
    if received is None:
        outcome.find(
            "roundtrip.no-received",
            str(door),
            seen="no Received field with a date",
            wanted="one from our server (RFC 5321 §4.4)",
            fix="redeploy: the running release differs from this one",
        )
        return
    skew = abs(parsedate_to_datetime(received[1].decode("ascii", "replace")) - world.now())
    if skew > CLOCK_SKEW:
        outcome.find(
            "clock.skewed",
            door.host,
            seen=f"{skew.total_seconds():.0f} s away from the clock here",
            wanted=f"within {CLOCK_SKEW.total_seconds():.0f} s",
            fix="on the host: timedatectl; time has to be synchronised (deploy again). Or this clock is wrong",
        )


async def tidy(world: World, outcome: Outcome, login: Login, token: str) -> None:
    """Removes the test letter from our side."""
    doors = world.doors_of("imap", login=True)
    if not doors:
        return
    try:
        await remove_by_imap(doors[0], login, world.trust, token)
    except ClientError as error:
        outcome.cannot_tell(
            "roundtrip.not-removed",
            str(doors[0]),
            seen=error.text,
            fix="the next verification removes nothing old; delete it by hand",
        )


CHECK = Check(
    "roundtrip",
    "A letter to ourselves, read back by IMAP and POP3 byte for byte",
    run,
    deadline_s=90.0,
    applies=lambda w: bool(w.doors_of("smtp", login=True)),
)
