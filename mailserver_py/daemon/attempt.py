"""One attempt to hand a letter to one destination: which address next, over TLS or not, and what became of
whom.

A decision core without I/O: `next_step` says what to try, the owner tries it and reports how it went. RFC
5321 §5.1:
- an address that cannot be reached or that refuses before the letter is offered: the next one;
- what is said of a recipient counts, and a 5xx of it is not asked again elsewhere;
- a connection lost after the letter was sent and before its reply: later, not elsewhere, since it may have
  arrived;
- a TLS handshake that fails when TLS is a favour: the same address again in the clear. Deviation: RFC 7435 §3
  would allow to give up; a letter in the clear is what the peer got before STARTTLS existed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from mailserver_py.smtp.client_events import Failed, Sent, Stage, StartTls
from mailserver_py.smtp.replies import Reply

from .route import Target, Verdict


class Fate(Enum):
    """What became of a recipient in an attempt."""

    SENT = "sent"
    DEFERRED = "deferred"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Result:
    """The fate of one recipient, and who said what of it."""

    fate: Fate
    status: str
    """Enhanced status code (RFC 3463)."""
    text: str
    """One line for people and logs."""
    host: str = ""
    """The host that answered; empty when we say it ourselves."""
    reply: Reply | None = None
    tls: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """Try this address now."""

    target: Target
    start_tls: StartTls


_OFFERED = frozenset((Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.RSET, Stage.SETTLED))
"""The letter was offered, but its bytes were not sent."""

_SENT = frozenset((Stage.LETTER, Stage.END_OF_LETTER))


class Attempt:
    """The core; `results` holds one value per recipient, by position, once `next_step` is None."""

    def __init__(self, targets: Sequence[Target] | Verdict, recipient_count: int) -> None:
        self._results: list[Result | None] = [None] * recipient_count
        self._targets: list[Target] = []
        self._next: Step | None = None
        self._hard: list[Reply] = []
        """Permanent refusals of whole hosts."""
        self._soft = ""
        self._host = ""
        if isinstance(targets, Verdict):
            self._settle_rest(_result_of(targets))
        else:
            self._targets = list(targets)
            self._advance()

    @property
    def next_step(self) -> Step | None:
        """What to try, or None when every recipient has its result."""
        return self._next

    @property
    def waiting(self) -> tuple[int, ...]:
        """Positions of the recipients to offer the letter for."""
        return tuple(at for at, result in enumerate(self._results) if result is None)

    @property
    def results(self) -> tuple[Result, ...]:
        """One per recipient."""
        return tuple(result for result in self._results if result is not None)

    def unreachable(self, why: str) -> None:
        """No connection."""
        self._soft = why
        self._advance()

    def tls_failed(self, why: str) -> None:
        """The handshake of an opportunistic STARTTLS failed."""
        assert self._next is not None
        if self._next.start_tls is StartTls.WHEN_OFFERED:
            self._next = Step(self._next.target, StartTls.NEVER)
        else:
            self.unreachable(why)

    def looped(self) -> None:
        """The connection led to ourselves: so would every later one (RFC 5321 §5.1)."""
        text = f"{self._host} is this host itself, which does not know the domain: a mail loop"
        self._settle_rest(Result(Fate.FAILED, "5.4.6", text))
        self._next = None

    def sent(self, event: Sent, *, tls: bool) -> None:
        """Every waiting recipient has its reply."""
        for at, answer in zip(self.waiting, event.replies, strict=True):
            self._results[at] = self._judge(answer, tls)
        self._next = None

    def failed(self, event: Failed, *, tls: bool) -> None:
        """The session ended before its time."""
        for at, answer in zip(self.waiting, event.replies, strict=False):
            if answer is not None:
                self._results[at] = self._judge(answer, tls)
        if event.stage in _SENT:
            if event.reply is not None and not event.reply.positive:
                # It refuses before the letter's end: not by the book, but certainly not taken.
                self._settle_rest(self._judge(event.reply, tls))
                self._next = None
                return
            text = f"{self._host}: {event.why}"
            self._settle_rest(Result(Fate.DEFERRED, "4.4.2", text, self._host, event.reply, tls))
            self._next = None
            return
        if event.reply is not None and event.reply.permanent and event.stage not in _OFFERED:
            self._hard.append(event.reply)
        else:
            self._soft = f"{self._host}: {event.why}"
        self._advance()

    def _advance(self) -> None:
        """To the next address, or to the end."""
        if not self.waiting:
            self._next = None
        elif self._targets:
            target = self._targets.pop(0)
            self._host = target.host
            self._next = Step(target, StartTls.WHEN_OFFERED)
        else:
            self._next = None
            self._settle_rest(self._last_word())

    def _last_word(self) -> Result:
        """All addresses are used up: permanent only if every one of them refused for good."""
        if self._hard and not self._soft:
            return self._judge(self._hard[-1], tls=False)
        return Result(Fate.DEFERRED, "4.4.1", self._soft or "no mail exchange answers")

    def _judge(self, answer: Reply, tls: bool) -> Result:
        if 200 <= answer.code < 300:
            fate, class_digit = Fate.SENT, "2"
        elif answer.permanent:
            fate, class_digit = Fate.FAILED, "5"
        else:
            fate, class_digit = Fate.DEFERRED, "4"
        # A status of another class than the reply's code is a mistake of the peer's (RFC 2034 §4).
        status = answer.enhanced if answer.enhanced[:1] == class_digit else f"{class_digit}.0.0"
        return Result(fate, status, f"{self._host}: {answer.render()}", self._host, answer, tls)

    def _settle_rest(self, result: Result) -> None:
        self._results = [result if known is None else known for known in self._results]


def _result_of(verdict: Verdict) -> Result:
    return Result(Fate.FAILED if verdict.permanent else Fate.DEFERRED, verdict.status, verdict.text)
