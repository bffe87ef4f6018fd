"""The running daemon against foreign SMTP clients and raw sockets: swaks, the standard library, and no client at
all.
"""

from __future__ import annotations

import secrets
import smtplib
import socket
import ssl
import subprocess
import threading
import warnings

import pytest

from .conftest import PASSWORD, Host
from .foreign import miss, need


def swaks(host: Host, *options: str) -> subprocess.CompletedProcess[str]:
    program = need("swaks")
    support = subprocess.run(
        [program, "--support"], capture_output=True, text=True, timeout=30, check=False
    ).stdout
    if "=== TLS supported" not in support:
        miss("swaks's TLS (Debian: libnet-ssleay-perl)")
    command = [program, "--server", host.address, "--helo", "client.example", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def raw(host: Host, name: str, data: bytes) -> bytes:
    """Sends all of it at once; what comes back until the server closes."""
    with socket.create_connection((host.address, host.ports[name]), timeout=10) as connection:
        connection.sendall(data)
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
    return answer


@pytest.mark.clients
def test_swaks_delivers_over_starttls(host: Host) -> None:
    token = secrets.token_hex(8)
    done = swaks(
        host, "--port", str(host.ports["smtp"]), "--tls", "--from", "carol@elsewhere.example",
        "--to", "bob@example.org", "--header", f"Subject: {token}",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert b"with ESMTPS" in host.wait_for("bob@example.org", token)


@pytest.mark.clients
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks_submits_on_both_ports(host: Host, mechanism: str) -> None:
    for door, tls in (("submissions", "--tlsc"), ("submission", "--tls")):
        token = secrets.token_hex(8)
        done = swaks(
            host, "--port", str(host.ports[door]), tls, "--auth", mechanism, "--auth-user", "alice@example.org",
            "--auth-password", PASSWORD, "--from", "alice@example.org", "--to", "bob@example.org",
            "--header", f"Subject: {token}",
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        assert b"with ESMTPSA" in host.wait_for("bob@example.org", token)


@pytest.mark.clients
def test_no_password_is_taken_in_the_clear(host: Host) -> None:
    done = swaks(
        host, "--port", str(host.ports["submission"]), "--auth", "PLAIN", "--auth-user", "alice@example.org",
        "--auth-password", PASSWORD, "--to", "bob@example.org",
    )  # fmt: skip
    assert done.returncode != 0
    assert "AUTH" not in done.stdout.partition("250 ")[0]


@pytest.mark.parametrize("door", ["smtp", "submission"])
def test_bytes_behind_starttls_are_never_run(host: Host, door: str) -> None:
    answer = raw(host, door, b"EHLO c\r\nSTARTTLS\r\nEHLO injected\r\nMAIL FROM:<x@y.example>\r\n")
    assert answer.count(b"220 ") == 1
    assert answer.rstrip().split(b"\r\n")[-1].startswith(b"501 5.5.4")


@pytest.mark.parametrize("door", ["smtp", "submission"])
def test_a_browser_is_sent_away(host: Host, door: str) -> None:
    answer = raw(
        host, door, b"POST / HTTP/1.1\r\nHost: mx\r\nContent-Length: 50\r\n\r\nEHLO x\r\n<script>\r\n"
    )
    assert answer.count(b"\r\n") == 2
    assert b"script" not in answer


def test_a_smuggled_letter_is_refused_whole(host: Host) -> None:
    token = secrets.token_hex(8)
    start = b"EHLO c\r\nMAIL FROM:<x@elsewhere.example>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n"
    first = b"Subject: " + token.encode() + b"\r\n\r\none\n.\r\n"
    second = b"MAIL FROM:<alice@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\nsecond\r\n.\r\n"
    data = start + first + second + b"QUIT\r\n"
    lines = raw(host, "smtp", data).split(b"\r\n")
    assert [line[:3] for line in lines if line[3:4] == b" "] == [
        b"220",
        b"250",
        b"250",
        b"250",
        b"354",
        b"554",
        b"221",
    ]


def test_many_letters_over_one_connection_and_many_connections_at_once(host: Host) -> None:
    token = secrets.token_hex(8)
    failures: list[BaseException] = []

    def send(number: int) -> None:
        try:
            with host.smtp() as client:
                for at in range(10):
                    client.sendmail(
                        "x@elsewhere.example",
                        ["bob@example.org"],
                        f"From: x@elsewhere.example\r\nSubject: {token} {number} {at}\r\n\r\nx\r\n",
                    )
        except (OSError, smtplib.SMTPException) as error:
            failures.append(error)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    host.wait_for("bob@example.org", f"{token} 9 9")
    client = host.imap("bob@example.org")
    client.select()
    _, (found,) = client.uid("SEARCH", "SUBJECT", token)
    client.logout()
    assert len(found.split()) == 100


def test_a_letter_of_twenty_megabytes_comes_out_as_it_went_in(host: Host) -> None:
    token = secrets.token_hex(8)
    body = (b"." + b"x" * 75 + b"\r\n") * 260_000
    content = b"From: x@elsewhere.example\r\nSubject: " + token.encode() + b"\r\n\r\n" + body
    with host.smtp() as client:
        assert client.has_extn("size")
        client.sendmail("x@elsewhere.example", ["bob@example.org"], content)
    assert host.wait_for("bob@example.org", token).endswith(content)


def test_smtputf8_is_taken_from_the_address_to_the_header(host: Host) -> None:
    token = secrets.token_hex(8)
    with host.smtp() as client:
        client.sendmail(
            "j\u00f6rg@elsewhere.example", ["bob@example.org"],
            f"From: J\u00f6rg <j\u00f6rg@elsewhere.example>\r\nSubject: {token}\r\n\r\nx\r\n".encode(),
            mail_options=["SMTPUTF8", "BODY=8BITMIME"],
        )  # fmt: skip
    seen = host.wait_for("bob@example.org", token)
    assert "Return-Path: <j\u00f6rg@elsewhere.example>".encode() in seen
    assert b"with UTF8SMTP" in seen


def test_old_tls_is_not_spoken(host: Host) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(OSError, match=r"(?i)ssl|tls|reset|EOF"):
        smtplib.SMTP_SSL(host.address, host.ports["submissions"], context=context)
