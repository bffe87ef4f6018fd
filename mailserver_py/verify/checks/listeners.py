"""Each listener: it answers, offers TLS, and shows a certificate that names the host and lasts.

Every door is tried at every public address, IPv4 and IPv6 alike, as the world would.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from mailserver_py.verify.clients import ClientError, in_thread, open_imap, open_pop3, open_smtp
from mailserver_py.verify.shape import Check, Outcome
from mailserver_py.verify.world import Door, World

EXPIRY = timedelta(days=3)
"""Renewal starts at a third of the life left; whoever comes this near has had weeks (or, for a certificate of six days,
the whole renewal window) of failing renewals.
"""


def _certificate(door: Door, trust: ssl.SSLContext) -> Mapping[str, object]:
    """The certificate that the door shows; the opening itself has checked chain and name."""
    if door.listener.protocol == "smtp":
        with open_smtp(door, trust) as smtp:
            return _peer_certificate(smtp.sock)
    if door.listener.protocol == "imap":
        imap = open_imap(door, trust)
        try:
            return _peer_certificate(imap.sock)
        finally:
            imap.logout()
    pop3 = open_pop3(door, trust)
    try:
        return _peer_certificate(pop3.sock)
    finally:
        pop3.quit()


def _peer_certificate(sock: object) -> Mapping[str, object]:
    return (sock.getpeercert() or {}) if isinstance(sock, ssl.SSLSocket) else {}


async def run(world: World) -> Outcome:
    """Knocks on every door, at the same time."""
    outcome = Outcome()
    ends = await asyncio.gather(*(_look_at(world, outcome, door) for door in world.doors))
    for host in world.spec.hosts:
        well = [(door, at) for door, at in zip(world.doors, ends, strict=True) if at and door.host == host]
        if well:
            names = ", ".join(dict.fromkeys(door.listener.name for door, _ in well))
            addresses = ", ".join(dict.fromkeys(door.address for door, _ in well))
            until = min(at for _, at in well)
            outcome.notes.append(f"{host} at {addresses}: {names}; certificate until {until:%Y-%m-%d}")
    return outcome


async def _look_at(world: World, outcome: Outcome, door: Door) -> datetime | None:
    """When the door's certificate ends; None when there was something to find."""
    try:
        certificate = await in_thread(lambda: _certificate(door, world.trust))
    except ClientError as error:
        _explain(outcome, door, error)
        return None
    ends_at = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
    left = ends_at - world.now()
    if left < EXPIRY:
        outcome.find(
            "certificate.expires",
            str(door),
            seen=f"ends at {ends_at:%Y-%m-%d %H:%M} UTC",
            wanted=f"at least {EXPIRY.days} days left",
            fix="read why renewal fails: journalctl --namespace=+mailserver -u mailserver-cert on the host",
        )
        return None
    return ends_at


def _explain(outcome: Outcome, door: Door, error: ClientError) -> None:
    cause = error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        code, wanted, fix = _certificate_fault(cause, door)
        outcome.find(code, str(door), seen=cause.verify_message, wanted=wanted, fix=fix)
    elif isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError):
        outcome.find(
            "listener.closed",
            f"{door} at {door.address}",
            seen=error.text,
            wanted="an answer",
            fix="deploy again (the socket unit, the firewall); if the host is right, ask the provider whether "
            f"port {door.port} is open",
        )
    else:
        outcome.find(
            "listener.no-tls",
            f"{door} at {door.address}",
            seen=error.text,
            wanted="TLS 1.2 or newer" if door.listener.implicit_tls else "STARTTLS, then TLS 1.2 or newer",
            fix="look for another programme on this port, then deploy again",
        )


def _certificate_fault(error: ssl.SSLCertVerificationError, door: Door) -> tuple[str, str, str]:
    """(code, wanted, fix) by OpenSSL's X509_V_ERR number."""
    if error.verify_code in (9, 10):  # not yet valid, expired
        return (
            "certificate.expired",
            "a certificate that is valid now",
            "renew it: systemctl start mailserver-cert on the host; look at both clocks",
        )
    if error.verify_code in (62, 64):  # host name or address mismatch
        return (
            "certificate.name",
            f"a certificate for {door.host}",
            "deploy again, so that one is ordered for the host's name of the spec",
        )
    return (
        "certificate.untrusted",
        "a chain to a certificate authority that is trusted here",
        "order one (tls.source: acme) and deploy; for an authority of your own set verification.ca_file",
    )


CHECK = Check("listeners", "Each listener: answer, TLS, certificate", run)
