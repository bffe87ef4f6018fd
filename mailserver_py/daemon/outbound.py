"""Carries a letter to one destination: the I/O loop around `route` and `attempt`, with `smtp`'s client
core.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import itertools
import ssl
from collections.abc import Sequence
from dataclasses import dataclass

from mailserver_py.net.connection import Deadline
from mailserver_py.net.dial import Dial
from mailserver_py.net.resolver import Resolver
from mailserver_py.net.stream import Stream
from mailserver_py.smtp.client import ClientSession
from mailserver_py.smtp.client_events import (
    CLIENT_CLOSED,
    CLIENT_LETTER_WANTED,
    CLIENT_READY,
    CLIENT_START_TLS,
    Envelope,
    Failed,
    Sent,
)

from .attempt import Attempt, Result, Step
from .route import Ownership, Shuffle, Target, Verdict, exchanges_of, targets_of

SMTP_PORT = 25

DIAL_S = 30.0
"""RFC 5321 §4.5.3.2 names no time for connecting; a host that needs longer will not answer at all."""

PIECE_BYTES = 65_536
"""The letter goes in pieces, each with a write deadline of its own."""

LAST_WORDS_S = 1.0
"""For a reply that is already on its way."""

ATTEMPT_LIMIT_S = 3_600.0
"""For one destination with all its addresses: each step has its deadline; this one is for peers that use them
all.
"""


@dataclass(frozen=True, slots=True)
class World:
    """How the outside is reached."""

    resolver: Resolver
    dial: Dial
    context: ssl.SSLContext
    own: Ownership
    shuffle: Shuffle


async def find_targets(world: World, domain: str) -> Sequence[Target] | Verdict:
    """The addresses for a domain, or why there are none. An address literal stands for itself (RFC 5321
    §4.1.3).
    """
    if domain.startswith("["):
        return _literal_target(world, domain)
    exchanges = exchanges_of(domain, await world.resolver.lookup(domain, "MX"), world.shuffle)
    if isinstance(exchanges, Verdict):
        return exchanges
    questions = list(itertools.product(exchanges.hosts, ("AAAA", "A")))
    answers = await asyncio.gather(*(world.resolver.lookup(host, rdtype) for host, rdtype in questions))
    return targets_of(domain, exchanges, dict(zip(questions, answers, strict=True)), world.own)


async def carry(world: World, domain: str, letter: bytes, envelope: Envelope) -> Sequence[Result]:
    """Tries to hand the letter over; one result per recipient of the envelope. Does not raise for what peers
    do.
    """
    attempt = Attempt(await find_targets(world, domain), len(envelope.recipients))
    deadline = Deadline(ATTEMPT_LIMIT_S, rate_bytes_per_s=1_000)
    while (step := attempt.next_step) is not None:
        if not deadline.left_s(len(letter)):
            attempt.unreachable("the attempt took too long")
            continue
        waiting = Envelope(
            envelope.reverse_path,
            tuple(envelope.recipients[at] for at in attempt.waiting),
            envelope.size_bytes,
            envelope.eight_bit,
            envelope.smtputf8,
        )
        await _try(world, attempt, step, letter, waiting)
    return attempt.results


async def _try(world: World, attempt: Attempt, step: Step, letter: bytes, envelope: Envelope) -> None:
    """One connection, and what it means for the attempt."""
    target = step.target
    try:
        stream = await world.dial(
            target.address, SMTP_PORT, timeout_s=DIAL_S, source=world.own.source(target.address)
        )
    except (ConnectionError, TimeoutError) as error:
        attempt.unreachable(f"{target.host} [{target.address}]: {error or 'no answer'}")
        return
    session = ClientSession(world.own.hostname, step.start_tls)
    talk = Talk(stream, session, world)
    try:
        outcome = await talk.run(letter, envelope)
    except (ConnectionError, TimeoutError) as error:
        # Only writes and handshakes end here; what is read is the session's to judge.
        if talk.in_handshake:
            attempt.tls_failed(f"{target.host}: {error or 'TLS handshake timed out'}")
        else:
            attempt.failed(await talk.last_words(), tls=stream.tls is not None)
    else:
        if outcome is None:
            attempt.looped()
        elif isinstance(outcome, Sent):
            attempt.sent(outcome, tls=stream.tls is not None)
        else:
            attempt.failed(outcome, tls=stream.tls is not None)
    finally:
        await stream.close()


class Talk:
    """One session over one connection."""

    def __init__(self, stream: Stream, session: ClientSession, world: World) -> None:
        self._stream = stream
        self._session = session
        self._world = world
        self._stage = session.stage
        self._deadline = Deadline(session.timeout_s)
        self.in_handshake = False

    async def run(self, letter: bytes, envelope: Envelope) -> Sent | Failed | None:
        """Offers the letter and says goodbye; None when the peer is ourselves."""
        session, stream = self._session, self._stream
        outcome: Sent | None = None
        while True:
            event = session.next_event()
            if isinstance(event, Failed):
                # After the letter's reply a broken goodbye changes nothing.
                return outcome or event
            if isinstance(event, Sent):
                outcome = event
            elif event is CLIENT_CLOSED:
                await stream.write(session.data_to_send())
                assert outcome is not None
                return outcome
            elif event is CLIENT_START_TLS:
                await self._start_tls()
            elif event is CLIENT_READY:
                if outcome is not None:
                    return await self._goodbye(outcome)
                if self._world.own.is_end(stream.local.address, stream.peer.address, session.greeting):
                    return None
                session.start(envelope)
            elif event is CLIENT_LETTER_WANTED:
                for at in range(0, len(letter), PIECE_BYTES):
                    session.send_letter(letter[at : at + PIECE_BYTES])
                    await stream.write(session.data_to_send())
                session.end_letter()
            else:
                await self._exchange()

    async def _exchange(self) -> None:
        """Sends what is to be sent and takes what comes, within the stage's total time."""
        session = self._session
        if session.stage is not self._stage:
            self._stage = session.stage
            self._deadline = Deadline(session.timeout_s)
        await self._stream.write(session.data_to_send())
        try:
            session.receive(await self._stream.read(self._deadline.left_s()))
        except TimeoutError:
            session.receive(b"")  # too late is gone

    async def last_words(self) -> Failed:
        """After a write that failed: what the peer said before it closed, if anything."""
        session = self._session
        with contextlib.suppress(TimeoutError):
            session.receive(await self._stream.read(LAST_WORDS_S))
        session.receive(b"")
        while not isinstance(event := session.next_event(), Failed):
            pass
        return event

    async def _start_tls(self) -> None:
        await self._stream.write(self._session.data_to_send())
        self.in_handshake = True
        await self._stream.upgrade(self._world.context, None)
        self.in_handshake = False
        self._session.tls_started()

    async def _goodbye(self, outcome: Sent) -> Sent:
        """QUIT, without waiting for its answer: the letter is theirs."""
        self._session.quit()
        await self._stream.write(self._session.data_to_send())
        return outcome


def _literal_target(world: World, domain: str) -> Sequence[Target] | Verdict:
    text = domain.strip("[]")
    try:
        address = str(ipaddress.ip_address(text[5:] if text[:5].lower() == "ipv6:" else text))
    except ValueError:
        return Verdict(True, "5.1.2", f"{domain} is no address")
    if world.own.is_address(address):
        return Verdict(True, "5.4.6", f"{domain} is this host itself")
    return (Target(domain, address),)
