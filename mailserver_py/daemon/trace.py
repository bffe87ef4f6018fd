"""The fate of letters, read back from the log: which events belong together, and how a person reads them.

Pure: lines in, rows out. What a line of the log is, `daemon.log` says; every fate of a letter carries its
trace id.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

Event: TypeAlias = Mapping[str, object]

LINE_LIMIT_CHARS = 100_000
"""Longer than any line that `daemon.log` writes; other lines are not read."""

TRACES_LIMIT_COUNT = 10_000
"""Letters of one address that are followed."""

_ADDRESS_FIELDS = ("recipient", "recipients", "reverse_path", "account", "to", "address")
_ID_FIELDS = ("trace", "bounce", "incident", "message_id")

_WORDS = {
    "smtp.accepted": "accepted",
    "smtp.refused": "refused",
    "delivery.local": "delivered",
    "delivery.sent": "sent",
    "delivery.deferred": "deferred",
    "delivery.failed": "failed",
    "delivery.bounced": "returned to sender",
    "delivery.unreturned": "not returned",
    "login.refused": "login refused",
    "login.ok": "login",
    "session.error": "internal error",
}
"""What the events are called for people."""


@dataclass(slots=True)
class Trace:
    """Everything the log says of one letter (or, without a trace id, of one session's event)."""

    trace_id: str
    events: list[Event] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Row:
    """One event for people."""

    at: str
    what: str
    who: str
    detail: str


def parse_events(lines: Iterable[str]) -> Iterator[Event]:
    """The events among lines; what is no event of ours is skipped."""
    for line in lines:
        if not line.startswith("{") or len(line) > LINE_LIMIT_CHARS:
            continue
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict) and isinstance(value.get("event"), str):
            yield value


def find_ids(events: Iterable[Event], wanted: str) -> set[str]:
    """Trace ids of the letters that `wanted` (a trace id, an incident, a Message-ID or an address) points
    at.
    """
    key = wanted.strip().strip("<>").lower()
    found: set[str] = set()
    for event in events:
        if len(found) >= TRACES_LIMIT_COUNT:
            break
        if _matches(event, key):
            found.update(str(event[name]) for name in ("trace", "bounce") if event.get(name))
    return found


def gather(events: Iterable[Event], ids: set[str], wanted: str) -> Sequence[Trace]:
    """The letters with all their events, oldest first; and events about `wanted` that belong to no letter."""
    key = wanted.strip().strip("<>").lower()
    traces: dict[str, Trace] = {}
    for event in events:
        trace_id = str(event.get("trace", ""))
        if trace_id in ids or (not trace_id and _matches(event, key)):
            traces.setdefault(trace_id, Trace(trace_id)).events.append(event)
    for trace in traces.values():
        trace.events.sort(key=lambda event: str(event.get("at", "")))
    return sorted(traces.values(), key=lambda trace: str(trace.events[0].get("at", "")))


def events_about(events: Iterable[Event], account: str, addresses: frozenset[str]) -> Iterator[Event]:
    """The events that are about one account: what it did, and what came to its `addresses` (itself among them). Of a
    letter from others, who else got it is their matter and left out.
    """
    for event in events:
        own = str(event.get("account", "")).lower() == account
        told = [text.lower() for name in _ADDRESS_FIELDS for text in _texts(event.get(name))]
        if not own and not addresses.intersection(told):
            continue
        if not own and isinstance(event.get("recipients"), list):
            mine = [text for text in _texts(event["recipients"]) if text.lower() in addresses]
            yield {**event, "recipients": mine}
        else:
            yield event


def rows_of(trace: Trace) -> Sequence[Row]:
    """The events as lines of a table."""
    return [_row(event) for event in trace.events]


def fate_of(trace: Trace) -> str:
    """Where the letter stands, in a few words: the last word on each recipient."""
    last: dict[str, str] = {}
    for event in trace.events:
        name = str(event["event"])
        if name == "smtp.accepted":
            for recipient in _texts(event.get("recipients")):
                last.setdefault(recipient, "in the queue")
        elif name.startswith("delivery.") and event.get("recipient"):
            last[str(event["recipient"])] = _WORDS.get(name, name)
    if not last:
        return _WORDS.get(str(trace.events[-1]["event"]), str(trace.events[-1]["event"]))
    counts: dict[str, int] = {}
    for word in last.values():
        counts[word] = counts.get(word, 0) + 1
    if len(last) == 1:
        return next(iter(counts))
    return ", ".join(f"{count} {word}" for word, count in counts.items())


def _matches(event: Event, key: str) -> bool:
    for name in _ID_FIELDS:
        if str(event.get(name, "")).strip("<>").lower() == key:
            return True
    return "@" in key and any(
        text.lower() == key for name in _ADDRESS_FIELDS for text in _texts(event.get(name))
    )


def _texts(value: object) -> Sequence[str]:
    if isinstance(value, str):
        return (value,)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else ()


def _row(event: Event) -> Row:
    name = str(event["event"])
    who = ", ".join(_texts(event.get("recipient")) or _texts(event.get("recipients")))
    details = []
    if name == "smtp.accepted":
        sender = str(event.get("reverse_path", "")) or "the null sender"
        details.append(f"from {sender} at {event.get('hello', '')} [{event.get('peer', '')}]")
        details.append(f"{event.get('protocol', '')}, {event.get('size_bytes', 0)} octets")
        details.extend(_texts(event.get("results")))
    elif name == "session.error":
        details.append(f"incident {event.get('incident', '')}: {event.get('error', '')}")
    else:
        details.extend(str(event[part]) for part in ("reply", "reason") if event.get(part))
        if event.get("mailbox"):
            details.append(f"into {event['mailbox']}")
        if event.get("bounce"):
            details.append(f"as {event['bounce']}")
        if event.get("peer"):
            details.append(f"peer {event['peer']}")
    return Row(str(event.get("at", "")), _WORDS.get(name, name), who, "; ".join(details))
