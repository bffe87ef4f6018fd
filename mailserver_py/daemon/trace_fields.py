"""Return-Path and Received: RFC 5321 §4.4, RFC 3848, RFC 6531 §3.7.3. They stand in front of a letter as it
is kept.

A letter is kept once for all its recipients, with its Return-Path, because its envelope is one. When it goes
out again (an outside recipient, an alias that leads elsewhere) `without_return_path` takes it off.
"""

from __future__ import annotations

import re
from datetime import datetime

from mailserver_py.message.date import serialize_date
from mailserver_py.net.connection import TlsInfo

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._:\[\]\-]")
_RETURN_PATH = re.compile(rb"Return-Path:[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE)


def return_path_field(reverse_path: str) -> bytes:
    """For final delivery."""
    return f"Return-Path: <{reverse_path}>\r\n".encode()


def without_return_path(letter: bytes) -> bytes:
    """The letter as it may leave (§4.4: a Return-Path is for final delivery only)."""
    match = _RETURN_PATH.match(letter)
    return letter[match.end() :] if match is not None else letter


def received_field(
    *,
    hello_name: str,
    address: str,
    hostname: str,
    keyword: str,
    tls: TlsInfo | None,
    trace_id: str,
    recipient: str,
    at: datetime,
) -> bytes:
    """One Received field. With an empty `address` it has no `from` clause; `recipient` only if there is but
    one.
    """
    literal = f"IPv6:{address}" if ":" in address else address
    lines = [f"Received: from {_NOT_IN_A_NAME.sub('?', hello_name)} ([{literal}])"] if address else []
    lines.append(f"{' ' if lines else 'Received: '}by {hostname} with {keyword}")
    if tls is not None:
        lines[-1] += f" ({tls.version} {tls.cipher})"
    lines.append(f" id {trace_id}")
    if recipient.isascii() and recipient:
        lines[-1] += f" for <{recipient}>"
    lines[-1] += ";"
    lines.append(f" {serialize_date(at).decode('ascii')}")
    return "\r\n".join(lines).encode("ascii") + b"\r\n"
