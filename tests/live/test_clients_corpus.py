"""Real letters through the daemon: what goes in by SMTP and APPEND comes out octet by octet, by IMAP and POP3."""

from __future__ import annotations

import poplib
import smtplib
from functools import cache

import dkim  # type: ignore[import-untyped]  # ships no types
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mailserver_py.senderauth.dkim import dkim_record
from tests import corpus

from .conftest import DKIM
from .foreign import Reader, need_corpus, until

EVERY = 20
"""One letter in so many: 303 of 6,046, of every kind that the corpus has."""


LINE_BYTES = 998
"""RFC 5322 §2.1.1; the 24 letters of the corpus that break it are all tried."""


@cache
def sample() -> tuple[bytes, ...]:
    need_corpus()
    return tuple(
        letter
        for number, (_, letter) in enumerate(corpus.letters())
        if number % EVERY == 0 or max(map(len, letter.split(b"\r\n"))) > LINE_BYTES
    )


def by_pop3(reader: Reader) -> list[bytes]:
    client = reader.pop3()
    count, _ = client.stat()
    letters = [b"\r\n".join((*client.retr(number)[1], b"")) for number in range(1, count + 1)]
    client.quit()
    return letters


@pytest.fixture(autouse=True)
def long_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    # poplib gives up on lines over 2,048 octets; real letters have them, and no server may break them.
    monkeypatch.setattr(poplib, "_MAXLINE", 1 << 20)


def test_what_is_appended_comes_out_as_it_went_in(reader: Reader) -> None:
    letters = list(sample())
    client = reader.imap()
    for letter in letters[:50]:  # as imaplib does it, with synchronising literals
        client.append("INBOX", "", "", letter)
    client.logout()
    reader.put(letters[50:])
    assert list(reader.bodies().values()) == letters
    assert by_pop3(reader) == [letter.removesuffix(b"\r\n") + b"\r\n" for letter in letters]


def test_what_comes_by_smtp_gets_fields_in_front_and_nothing_else(reader: Reader) -> None:
    sent: list[bytes] = []
    refused: list[tuple[int, bytes]] = []
    with reader.host.smtp() as client:
        client.starttls(context=reader.host.context)
        for letter in sample():
            # smtplib rewrites line ends; the corpus has CRLF by now, and the final one belongs to DATA.
            whole = letter.removesuffix(b"\r\n") + b"\r\n"
            try:
                client.sendmail("carol@elsewhere.example", [reader.account], whole, ["BODY=8BITMIME"])
                sent.append(whole)
            except smtplib.SMTPDataError as error:
                refused.append((error.smtp_code, bytes(error.smtp_error)))
    assert refused == []
    until(lambda: reader.count() == len(sent), "all letters came in", 30)
    kept = list(reader.bodies().values())
    assert by_pop3(reader) == kept
    fronts: dict[bytes, bytes] = {}
    for letter in kept:
        original = next(one for one in sent if letter.endswith(one))
        fronts[original] = letter.removesuffix(original)
    assert set(fronts) == set(sent)
    for front in fronts.values():
        names = {line.split(b":")[0] for line in front.split(b"\r\n") if line and line[:1] not in b" \t"}
        assert names == {b"Return-Path", b"Received", b"Authentication-Results"}, front
        assert front.endswith(b"\r\n")
        assert b"\r\n\r\n" not in front


def test_what_a_user_submits_is_signed_in_front_and_not_touched(reader: Reader) -> None:
    need_corpus()
    head = f"From: <{reader.account}>\r\nTo: <{reader.account}>\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n"
    sent = []
    with reader.host.submission(reader.account) as client:
        for number, (_, letter) in enumerate(corpus.letters(EVERY * 10)):
            _, _, body = letter.partition(b"\r\n\r\n")
            own = f"{head}Message-ID: <{number}@example.org>\r\nSubject: {number}\r\n\r\n".encode()
            sent.append(own + body.removesuffix(b"\r\n") + b"\r\n")
            client.sendmail(reader.account, [reader.account], sent[-1], ["BODY=8BITMIME"])
    until(lambda: reader.count() == len(sent), "all letters came in", 30)
    for letter in reader.bodies().values():
        original = next(one for one in sent if letter.endswith(one))
        front = letter.removesuffix(original)
        assert front.count(b"DKIM-Signature:") == len(DKIM)
        assert b"\r\n\r\n" not in front
        assert all(dkim.DKIM(letter).verify(index, dnsfunc=published) for index in range(len(DKIM)))


def published(name: bytes, timeout: int = 5) -> bytes:
    """What the domain would publish of its keys."""
    pem, _ = DKIM[name.decode().partition(".")[0]]
    return dkim_record(load_pem_private_key(pem, None).public_key()).encode()
