"""To the stranger's host and from there back, with what each side said of SPF and DKIM (RFC 8601, RFC 7208 §9.1)."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from mailserver_py.message.header import parse_header
from mailserver_py.spec.listeners import LISTENERS, Listener
from mailserver_py.spec.model import Stranger
from mailserver_py.verify.checks.roundtrip import send, tidy, wait_for
from mailserver_py.verify.clients import ClientError, find_by_imap, remove_by_imap, submit
from mailserver_py.verify.marked import marked_letter
from mailserver_py.verify.shape import Check, Outcome
from mailserver_py.verify.tokens import new_token
from mailserver_py.verify.world import Door, Login, World

PATIENCE_S = 45.0
"""A stranger's server may greylist nobody it knows, and queue for some seconds; more is a finding."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the receiving side wrote about a letter: `pass`, `fail`, `none` …, or empty when it wrote nothing."""

    spf: str
    dkim: str


def said(data: bytes) -> Said:
    """Reads the top-most verdicts of a letter: what the last host added stands first."""
    spf = dkim = ""
    for field in parse_header(data).fields:
        name, value = field.name.lower(), field.raw_value.decode("ascii", "replace").lower()
        if name == b"authentication-results":
            spf = spf or _result(r"\bspf\s*=\s*(\w+)", value)
            dkim = dkim or (
                "pass" if re.search(r"\bdkim\s*=\s*pass", value) else _result(r"\bdkim\s*=\s*(\w+)", value)
            )
        elif name == b"received-spf":
            spf = spf or _result(r"^\s*(\w+)", value)
    return Said(spf, dkim)


def _result(pattern: str, value: str) -> str:
    found = re.search(pattern, value)
    return found[1] if found else ""


def _door(where: str, protocol: str) -> Door:
    """`host:port` of the spec as a door; the port tells whether TLS comes first (RFC 8314)."""
    host, _, port = where.rpartition(":")
    standard = {row.port: row for row in LISTENERS if row.protocol == protocol}
    row = standard.get(int(port)) or Listener(
        protocol, int(port), standard[min(standard)].protocol, False, True
    )
    return Door(host, host, int(port), row)


async def run(world: World) -> Outcome:
    """Out and back, one after the other: the way back only makes sense when names and keys are known to be right."""
    outcome = Outcome()
    stranger, account = world.stranger, world.account
    if stranger is None or account is None:
        outcome.cannot_tell(
            "stranger.no-password",
            "the way to a stranger and back",
            seen="no password for it can be read here",
            fix="run mailserver keys SITE, or verify with an identity that can read the site's secrets",
        )
        return outcome
    login = Login(stranger.user, world.stranger_password)
    await _out(world, outcome, stranger, account, login)
    await _back(world, outcome, stranger, account, login)
    return outcome


async def _out(world: World, outcome: Outcome, stranger: Stranger, account: Login, login: Login) -> None:
    door = world.doors_of("smtp", login=True)[0]
    inbox, trust = _door(stranger.imap, "imap"), world.stranger_trust or world.trust
    letter = marked_letter(
        token=new_token(), sender=account.address, recipient=stranger.address, at=world.now()
    )
    if not await send(world, outcome, door, account, recipient=stranger.address, letter=letter):
        return
    started = time.monotonic()
    try:
        data = await wait_for(lambda: find_by_imap(inbox, login, trust, letter.token), PATIENCE_S)
        if data is not None:
            await remove_by_imap(inbox, login, trust, letter.token)
    except ClientError as error:
        outcome.cannot_tell(
            "stranger.unreadable",
            str(inbox),
            seen=error.text,
            fix="look at the stranger's host, its user and password",
        )
        return
    if data is None:
        outcome.find(
            "stranger.not-arrived",
            f"{door.host} → {stranger.address}",
            seen=f"accepted by us, not in the stranger's mailbox after {PATIENCE_S:.0f} s",
            wanted="the letter delivered",
            fix=f"is mailserver-queue running? On the host: mailserver trace {stranger.address}",
        )
        return
    outcome.notes.append(f"to {stranger.address} in {time.monotonic() - started:.2f} s")
    _judge(
        outcome,
        "stranger",
        f"{stranger.address} said",
        said(data),
        spf_fix="publish the SPF record",
        dkim_fix=DKIM_FIX,
    )


DKIM_FIX = "publish the DKIM records of this site's keys (mailserver publish SITE), and deploy the same keys"


async def _back(world: World, outcome: Outcome, stranger: Stranger, account: Login, login: Login) -> None:
    door, trust = _door(stranger.smtp, "smtp"), world.stranger_trust or world.trust
    readers = world.doors_of("imap", login=True)
    if not readers:
        return
    letter = marked_letter(
        token=new_token(), sender=stranger.address, recipient=account.address, at=world.now()
    )
    try:
        await submit(door, login, trust, account.address, letter.data)
    except ClientError as error:
        outcome.cannot_tell(
            "stranger.refused",
            str(door),
            seen=error.text,
            fix="look at the stranger's host, its user and password",
        )
        return
    started = time.monotonic()
    try:
        data = await wait_for(
            lambda: find_by_imap(readers[0], account, world.trust, letter.token), PATIENCE_S
        )
    except ClientError as error:
        outcome.find(
            "stranger.back-unreadable",
            str(readers[0]),
            seen=error.text,
            wanted="the letter read",
            fix="see the login check",
        )
        return
    if data is None:
        outcome.find(
            "stranger.back-not-arrived",
            f"{stranger.address} → {account.address}",
            seen=f"not here after {PATIENCE_S:.0f} s",
            wanted="the letter delivered",
            fix="see the MX record and the smtp listener on port 25; then ask the stranger's queue",
        )
        return
    outcome.notes.append(f"from {stranger.address} in {time.monotonic() - started:.2f} s")
    heard = said(data)
    outcome.notes.append(f"we said spf={heard.spf or '-'} dkim={heard.dkim or '-'}")
    if not heard.spf or not heard.dkim:
        outcome.find(
            "stranger.back-no-results",
            account.address,
            seen="no SPF or DKIM result on a letter from the world",
            wanted="an Authentication-Results field of ours",
            fix="redeploy: the running release differs from this one",
        )
    await tidy(world, outcome, account, letter.token)


def _judge(outcome: Outcome, noun: str, who: str, heard: Said, *, spf_fix: str, dkim_fix: str) -> None:
    outcome.notes.append(f"{who} spf={heard.spf or '-'} dkim={heard.dkim or '-'}")
    for what, result, fix in (("spf", heard.spf, spf_fix), ("dkim", heard.dkim, dkim_fix)):
        if result and result != "pass":
            outcome.find(f"{noun}.{what}", who, seen=f"{what}={result}", wanted=f"{what}=pass", fix=fix)


CHECK = Check(
    "stranger",
    "A letter to the stranger and one back, with SPF and DKIM results",
    run,
    deadline_s=150.0,
    applies=lambda w: w.stranger is not None and bool(w.doors_of("smtp", login=True)),
)
