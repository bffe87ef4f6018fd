"""The log: one JSON line per event on standard output, which journald keeps.

Every line has `at` (UTC, milliseconds), `event`, and, where a letter is concerned, `trace`. Values are
bounded and free of control characters, whatever a peer sent, so that one event is one line and a terminal
shows what was logged (promises S14). Secrets are never passed in: there is no filter that could forget one.
"""

from __future__ import annotations

import contextlib
import json
import os
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

VALUE_LIMIT_CHARS = 500
"""A reply of 512 octets (RFC 5321 §4.5.3.1.5) fits, near enough; a hostile megabyte does not."""

STDOUT_FD = 1

FRAMES_LIMIT_COUNT = 20
"""Of a traceback; the innermost say where."""

LIST_LIMIT_COUNT = 50
"""Items of one list: enough for the recipients of nearly every letter."""


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


def write_line(line: str) -> None:
    """To standard output, at once: what was said of a letter must not die with the process.

    A log that cannot be written (its reader died) stops no mail.
    """
    with contextlib.suppress(OSError):
        os.write(STDOUT_FD, line.encode() + b"\n")


class Log:
    """Writes events. `now` gives aware UTC instants; `write` takes one line without its end."""

    def __init__(self, now: Callable[[], datetime], write: Callable[[str], None] = write_line) -> None:
        self._now = now
        self._write = write

    def event(self, event: str, *, trace: str = "", **fields: object) -> None:
        """One line. Fields that are None or an empty string are left out; bytes are shown as text."""
        at = self._now().astimezone(UTC).isoformat(timespec="milliseconds")
        row: dict[str, object] = {"at": at.removesuffix("+00:00") + "Z", "event": event}
        if trace:
            row["trace"] = clean(trace)
        for name, value in fields.items():
            if value is not None and value != "":
                row[name] = loggable(value)
        self._write(_encode(row))

    def incident(self, error: BaseException, incident: str, *, trace: str = "", **fields: object) -> str:
        """One line for a bug: where it happened, innermost last. The id, for the peer to quote."""
        frames = traceback.extract_tb(error.__traceback__)[-FRAMES_LIMIT_COUNT:]
        self.event(
            "session.error",
            trace=trace,
            incident=incident,
            error=f"{type(error).__name__}: {error}",
            traceback=[f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames],
            **fields,
        )
        return incident


def loggable(value: object) -> object:
    """Numbers and truth values as they are, containers bounded, everything else as cleaned text."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes | bytearray):
        return clean(value.decode("utf-8", "backslashreplace"))
    if isinstance(value, Mapping):
        return {clean(str(key)): loggable(item) for key, item in list(value.items())[:LIST_LIMIT_COUNT]}
    if isinstance(value, list | tuple | set | frozenset):
        return [loggable(item) for item in list(value)[:LIST_LIMIT_COUNT]]
    return clean(str(value))


def clean(text: str) -> str:
    """Bounded, and every character that does not print replaced by `?`: controls, what reorders text, line
    ends.
    """
    bounded = text if len(text) <= VALUE_LIMIT_CHARS else text[: VALUE_LIMIT_CHARS - 1] + "…"
    if bounded.isprintable():
        return bounded
    return "".join(char if char.isprintable() else "?" for char in bounded)
