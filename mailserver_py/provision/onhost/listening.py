"""Knocks on every open listener of this machine and prints, as JSON, what is wrong with each.

`argv[1]` is JSON: `listeners` (name, port, protocol, implicit_tls), `units` (that must be active), `hostname`, `tls`
(folder of the host's certificate), `patience_s` (how long a listener may take to come right). Each must greet in its
protocol, and in the TLS handshake show exactly the certificate of the disk. With `--strict`, trouble is said on
standard error and is exit status 1.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from typing import Any, BinaryIO, cast

STARTTLS = {
    "smtp": (b"EHLO localhost\r\n", b"STARTTLS\r\n"),
    "imap": (b"", b"a STARTTLS\r\n"),
    "pop3": (b"", b"STLS\r\n"),
}
BANNERS = {"smtp": b"220", "imap": b"* OK", "pop3": b"+OK"}
STEP_S = (
    8  # one answer; the server's own limits for a greeting are longer, but a healthy one takes milliseconds
)


class Trouble(Exception):
    pass


def reader(connection: socket.socket) -> BinaryIO:
    """Unbuffered: not an octet after the STARTTLS reply may be taken from the handshake."""
    return cast("BinaryIO", connection.makefile("rb", buffering=0))


def answer(stream: BinaryIO, *, multiline: bool) -> bytes:
    """One reply; all lines of it for SMTP, whose last line has a space after the code."""
    while True:
        line = stream.readline(4096)
        if not line:
            raise Trouble("closed the connection")
        if not multiline or line[3:4] != b"-":
            return line.strip()


def shown_certificate(listener: dict[str, Any], connection: socket.socket, hostname: str) -> bytes | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # compared with the disk, octet by octet
    if not listener["implicit_tls"]:
        protocol = listener["protocol"]
        smtp = protocol == "smtp"
        stream = reader(connection)
        banner = answer(stream, multiline=smtp)
        if not banner.startswith(BANNERS[protocol]):
            raise Trouble(f"greets with {banner[:120]!r}")
        hello, start = STARTTLS[protocol]
        if hello:
            connection.sendall(hello)
            answer(stream, multiline=smtp)
        connection.sendall(start)
        reply = answer(stream, multiline=smtp)
        if not reply.startswith((b"220", b"a OK", b"+OK")):
            raise Trouble(f"answers {reply[:120]!r} to STARTTLS")
    with context.wrap_socket(connection, server_hostname=hostname) as secure:
        leaf = secure.getpeercert(True)
        if listener["implicit_tls"]:
            banner = answer(reader(secure), multiline=listener["protocol"] == "smtp")
            if not banner.startswith(BANNERS[listener["protocol"]]):
                raise Trouble(f"greets with {banner[:120]!r}")
    return leaf


def knock(listener: dict[str, Any], asked: dict[str, Any]) -> None:
    with socket.create_connection(("127.0.0.1", listener["port"]), STEP_S) as connection:
        connection.settimeout(STEP_S)
        if listener["protocol"] == "http":
            connection.sendall(b"GET /.well-known/acme-challenge/none HTTP/1.1\r\nHost: localhost\r\n\r\n")
            reply = answer(reader(connection), multiline=False)
            if not reply.startswith(b"HTTP/1.1 404"):
                raise Trouble(f"answers {reply[:120]!r}, not 404, to an unknown ACME token")
            return
        leaf = shown_certificate(listener, connection, asked["hostname"])
    with open(os.path.join(asked["tls"], "current", "fullchain.pem"), encoding="ascii") as file:
        first = file.read().partition("-----END CERTIFICATE-----")
    if leaf != ssl.PEM_cert_to_DER_cert(first[0] + first[1]):
        raise Trouble("shows another certificate than the one on the disk")


def watch(listener: dict[str, Any], asked: dict[str, Any], found: dict[str, str]) -> None:
    end = time.monotonic() + asked["patience_s"]
    while True:
        try:
            knock(listener, asked)
        except (OSError, Trouble) as trouble:
            found[listener["name"]] = str(trouble) or type(trouble).__name__
        else:
            found.pop(listener["name"], None)
            return
        if time.monotonic() > end:
            return
        time.sleep(0.3)


def run(*argv: str) -> list[str]:
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False).stdout.splitlines()


def main() -> None:
    asked = json.loads(sys.argv[1])
    found: dict[str, str] = {}
    threads = [threading.Thread(target=watch, args=(one, asked, found)) for one in asked["listeners"]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for unit, state in zip(asked["units"], run("systemctl", "is-active", *asked["units"]), strict=False):
        if state != "active":
            found[unit] = state
    journal = [
        "journalctl",
        "--namespace=+mailserver",
        "--no-pager",
        "-o",
        "cat",
        "-n",
        "20",
        "-u",
        "mailserver-*",
    ]
    if "--strict" in sys.argv:
        sys.exit("".join(f"{name}: {trouble}\n" for name, trouble in sorted(found.items())) or 0)
    print(json.dumps({"troubles": found, "journal": run(*journal) if found else []}))


main()
