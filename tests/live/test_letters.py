"""Letters through the running daemon, with the standard library's clients."""

from __future__ import annotations

import poplib
import secrets
import smtplib

import pytest

from .conftest import PASSWORD, Host


def letter(token: str, sender: str = "carol@elsewhere.example", body: str = "Hello") -> bytes:
    return f"From: <{sender}>\r\nTo: bob@example.org\r\nSubject: {token}\r\n\r\n{body}\r\n".encode()


def test_a_strangers_letter_reaches_the_inbox(host: Host) -> None:
    token = secrets.token_hex(8)
    with host.smtp() as client:
        client.starttls(context=host.context)
        client.sendmail("carol@elsewhere.example", ["bob@example.org"], letter(token))
    seen = host.wait_for("bob@example.org", token)
    assert seen.endswith(letter(token).partition(b"Subject")[2])
    assert b"Return-Path: <carol@elsewhere.example>" in seen


def test_a_users_letter_is_signed_with_both_keys(host: Host) -> None:
    token = secrets.token_hex(8)
    with host.submission() as client:
        client.sendmail("alice@example.org", ["bob@example.org"], letter(token, "alice@example.org"))
    seen = host.wait_for("bob@example.org", token)
    assert seen.count(b"DKIM-Signature:") == 2


def test_strangers_are_not_relayed(host: Host) -> None:
    with host.smtp() as client:
        client.mail("carol@elsewhere.example")
        code, text = client.rcpt("dave@third.example")
        assert (code, b"relay" in text) == (550, True)


def test_pop3_reads_the_same_letter(host: Host) -> None:
    token = secrets.token_hex(8)
    with host.smtp() as client:
        client.sendmail("carol@elsewhere.example", ["alice@example.org"], letter(token))
    seen = host.wait_for("alice@example.org", token)
    reader = poplib.POP3_SSL(host.address, host.ports["pop3s"], context=host.context)
    reader.user("alice@example.org")
    reader.pass_(PASSWORD)
    count, _ = reader.stat()
    letters = [b"\r\n".join(reader.retr(n + 1)[1]) + b"\r\n" for n in range(count)]
    reader.quit()
    assert seen in letters


def test_a_wrong_password_opens_nothing(host: Host) -> None:
    with (
        smtplib.SMTP_SSL(host.address, host.ports["submissions"], context=host.context) as client,
        pytest.raises(smtplib.SMTPAuthenticationError),
    ):
        client.login("alice@example.org", "wrong")
