"""Login by each protocol: the right password opens, a wrong one does not, and none is asked for in the clear."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from mailserver_py.verify.clients import (
    ClientError,
    in_maildrop,
    in_thread,
    open_imap,
    open_pop3,
    open_smtp,
    open_smtp_in_the_clear,
)
from mailserver_py.verify.shape import Check, Outcome
from mailserver_py.verify.world import Door, Login, World


def _smtp(door: Door, login: Login, trust: ssl.SSLContext) -> None:
    with open_smtp(door, trust) as client:
        client.login(login.address, login.password)


def _imap(door: Door, login: Login, trust: ssl.SSLContext) -> None:
    client = open_imap(door, trust)
    try:
        client.login(login.address, login.password)
    finally:
        client.logout()


def _pop3(door: Door, login: Login, trust: ssl.SSLContext) -> None:
    client = open_pop3(door, trust)
    try:
        client.user(login.address)
        client.pass_(login.password)
    finally:
        client.quit()


BY_PROTOCOL: dict[str, Callable[[Door, Login, ssl.SSLContext], None]] = {
    "smtp": _smtp,
    "imap": _imap,
    "pop3": _pop3,
}


def _in_the_clear(door: Door) -> bool:
    """Whether a password would be taken before TLS."""
    with open_smtp_in_the_clear(door) as client:
        client.ehlo()
        return client.has_extn("auth")


async def run(world: World) -> Outcome:
    """Logs in at every door for users, at the same time; each door once, whatever addresses its host has."""
    outcome = Outcome()
    if world.account is None:
        outcome.cannot_tell(
            "login.no-password",
            "the verification account",
            seen="its password cannot be read here",
            fix="run mailserver keys SITE, or verify with an identity that can read the site's secrets",
        )
        return outcome
    doors = {
        (door.host, door.listener.name): door
        for protocol in reversed(BY_PROTOCOL)
        for door in reversed(world.doors_of(protocol, login=True))
    }
    account = world.account
    await asyncio.gather(*(_right(world, outcome, door, account) for door in doors.values()))
    # One guess a protocol: each guess makes the server slower to answer us, as it should.
    guessed = {(door.host, door.listener.protocol): door for door in doors.values()}
    await asyncio.gather(*(_wrong(world, outcome, door, account) for door in guessed.values()))
    clear = [d for d in doors.values() if d.listener.protocol == "smtp" and not d.listener.implicit_tls]
    await asyncio.gather(*(_clear(outcome, door) for door in clear))
    if not outcome.findings:
        names = ", ".join(sorted({door.listener.name for door in doors.values()}))
        outcome.notes.append(f"{account.address} by {names}")
    return outcome


async def _attempt(world: World, door: Door, login: Login) -> None:
    """Logs in and out. Raises ClientError."""
    attempt = partial(BY_PROTOCOL[door.listener.protocol], door, login, world.trust)
    if door.listener.protocol == "pop3":
        await in_maildrop(world.maildrop, attempt)
    else:
        await in_thread(attempt)


async def _right(world: World, outcome: Outcome, door: Door, login: Login) -> None:
    try:
        await _attempt(world, door, login)
    except ClientError as error:
        outcome.find(
            "login.refused",
            str(door),
            seen=error.text,
            wanted=f"{login.address} logs in",
            fix="deploy again, so that the host has the password of this site's secrets; if it has, read "
            "`mailserver status SITE` and the listener's finding",
        )


async def _wrong(world: World, outcome: Outcome, door: Door, login: Login) -> None:
    wrong = Login(login.address, login.password[::-1] + "x")
    with suppress(ClientError):
        await _attempt(world, door, wrong)
        outcome.find(
            "login.accepts-wrong-password",
            str(door),
            seen="a wrong password opened the account",
            wanted="a refusal",
            fix="take the host off the network; this is a fault of the server",
        )


async def _clear(outcome: Outcome, door: Door) -> None:
    with suppress(ClientError):
        if await in_thread(partial(_in_the_clear, door)):
            outcome.find(
                "login.in-the-clear",
                str(door),
                seen="AUTH is offered before STARTTLS",
                wanted="AUTH only under TLS",
                fix="redeploy: the running release differs from this one",
            )


CHECK = Check("login", "Login by each protocol, and only with the right password", run)
