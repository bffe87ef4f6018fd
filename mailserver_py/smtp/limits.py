"""How much of a peer is borne, on both sides, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

AUTH_LINE_BYTES = 12_288
"""Longest line of a SASL exchange, its CRLF not counted (RFC 4954 §4)."""

BAD_COMMAND_COUNT = 10
"""After this many a client is broken or hostile; browsers sent to port 25 do not get this far."""

IDLE_COMMAND_COUNT = 200
"""Commands without a letter between them: a client of many letters resets once each, a flood ends here."""

SKIPPED_BYTES = 1_048_576
"""What a connection may send of over-long lines in all; far above any mistake."""

HELLO_NAME_BYTES = 255
"""A domain's longest name (RFC 5321 §4.5.3.1.2); it goes into the Received field."""

REPLY_LINE_BYTES = 4_096
"""Eight times what RFC 5321 §4.5.3.1.5 allows: real servers are wordy, hostile ones endless."""

REPLY_LINE_COUNT = 128
"""Lines of one reply; the longest EHLO replies seen have some thirty."""

PIPELINED_COUNT = 100
"""Recipients sent before their replies are read, so that neither side waits for the other with full buffers
(RFC 2920 §3.1).
"""


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What the spec limits."""

    letter_bytes: int
    recipient_count: int
