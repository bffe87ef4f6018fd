"""Login by each protocol: the right password opens, a wrong one does not, and none is asked for in the clear."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable
from contextlib import suppress

from mailserver_py.verify.clients import (
    HELO,
    TIMEOUT_S,
    ClientError,
    in_thread,
    open_imap,
    open_pop3,
    open_smtp,
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
    with smtplib.SMTP(timeout=TIMEOUT_S, local_hostname=HELO) as client:
        client.connect(door.address, door.port)
        client.ehlo()
        return client.has_extn("auth")


async def run(world: World) -> Outcome:
    """Logs in at every door for users."""
    outcome = Outcome()
    if world.account is None:
        outcome.cannot_tell(
            "login.no-password",
            "the verification account",
            seen="its password cannot be read here",
            fix="run mailserver keys SITE, or verify with an identity that can read the site's secrets",
        )
        return outcome
    for door in (d for protocol in BY_PROTOCOL for d in world.doors_of(protocol, login=True)):
        await _look_at(world, outcome, door, world.account)
    return outcome


async def _look_at(world: World, outcome: Outcome, door: Door, login: Login) -> None:
    attempt = BY_PROTOCOL[door.listener.protocol]
    try:
        await in_thread(lambda: attempt(door, login, world.trust))
    except ClientError as error:
        outcome.find(
            "login.refused",
            str(door),
            seen=error.text,
            wanted=f"{login.address} logs in",
            fix="deploy again, so that the host has the password of this site's secrets; if it has, read "
            "`mailserver status SITE` and the listener's finding",
        )
        return
    wrong = Login(login.address, login.password[::-1] + "x")
    with suppress(ClientError):
        await in_thread(lambda: attempt(door, wrong, world.trust))
        outcome.find(
            "login.accepts-wrong-password",
            str(door),
            seen="a wrong password opened the account",
            wanted="a refusal",
            fix="take the host off the network; this is a fault of the server",
        )
        return
    if door.listener.protocol == "smtp" and not door.listener.implicit_tls:
        with suppress(ClientError):
            if await in_thread(lambda: _in_the_clear(door)):
                outcome.find(
                    "login.in-the-clear",
                    str(door),
                    seen="AUTH is offered before STARTTLS",
                    wanted="AUTH only under TLS",
                    fix="redeploy: the running release differs from this one",
                )
                return
    outcome.notes.append(f"{door}: {login.address}")


CHECK = Check("login", "Login by each protocol, and only with the right password", run)
