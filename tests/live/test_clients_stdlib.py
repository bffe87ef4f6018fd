"""Whole sessions with imaplib, poplib and smtplib, as scripts of decades hold them."""

from __future__ import annotations

import contextlib
import email
import email.policy
import imaplib
import poplib
import secrets
import smtplib
from email.message import EmailMessage

import pytest

from .foreign import Reader, until

LETTERS = [
    f"From: <a{number}@elsewhere.example>\r\nSubject: number {number}\r\n\r\n.{'x' * number}\r\n".encode()
    for number in range(1, 6)
]


def answer(result: tuple[str, list[object]]) -> list[object]:
    status, data = result
    assert status == "OK", data
    return data


def test_poplib_holds_a_whole_session(reader: Reader) -> None:
    reader.put(LETTERS)
    client = reader.pop3()
    assert client.getwelcome().startswith(b"+OK")
    assert {"TOP", "UIDL", "SASL", "PIPELINING", "RESP-CODES", "UTF8"} <= set(client.capa())
    assert client.stat() == (5, sum(map(len, LETTERS)))
    assert client.list()[1] == [b"%d %d" % (n, len(letter)) for n, letter in enumerate(LETTERS, 1)]
    assert client.list(2) == b"+OK 2 %d" % len(LETTERS[1])
    uids = client.uidl()[1]
    assert client.uidl(3).split()[1:] == uids[2].split()
    assert client.top(1, 0)[1] == LETTERS[0].split(b"\r\n")[:3]
    assert client.retr(4)[1] == LETTERS[3].split(b"\r\n")[:-1]
    client.dele(1)
    client.rset()
    client.dele(2)
    with pytest.raises(poplib.error_proto, match=r"^b.-ERR"):
        client.retr(2)
    client.noop()
    client.quit()
    assert reader.count() == 4
    client = reader.pop3()
    assert [line.split()[1] for line in client.uidl()[1]] == [
        line.split()[1] for number, line in enumerate(uids, 1) if number != 2
    ]
    client.dele(1)
    client.close()  # without QUIT nothing is deleted, and the maildrop is free again
    until(lambda: stat(reader) == 4, "the vanished client's maildrop is free")


def stat(reader: Reader) -> int:
    try:
        client = reader.pop3()
    except poplib.error_proto:
        return -1
    count, _ = client.stat()
    client.quit()
    return count


def test_poplib_on_the_clear_port_needs_stls(reader: Reader) -> None:
    host = reader.host
    client = poplib.POP3(host.address, host.ports["pop3"])
    with pytest.raises(poplib.error_proto):
        client.user(reader.account)
        client.pass_(reader.password)
    client = poplib.POP3(host.address, host.ports["pop3"])
    client.stls(host.context)
    assert "USER" in client.capa()
    client.utf8()
    client.user(reader.account)
    client.pass_(reader.password)
    assert client.stat() == (0, 0)
    client.quit()


def test_two_poplibs_do_not_hold_one_maildrop(reader: Reader) -> None:
    first = reader.pop3()
    with pytest.raises(poplib.error_proto, match="IN-USE"):
        reader.pop3()
    first.quit()
    reader.pop3().quit()


def test_imaplib_moves_flags_and_removes(reader: Reader) -> None:
    client = reader.imap()
    for folder in ("Work", "Work/2026", "Old"):
        answer(client.create(folder))
        answer(client.subscribe(folder))
    assert len(answer(client.lsub('""', "*"))) == 9  # with the special ones
    assert len(answer(client.list('""', "Work*"))) == 2
    reader.put(LETTERS)
    assert answer(client.select()) == [b"5"]
    assert client.response("UIDVALIDITY")[1] != [None]
    assert answer(client.search(None, "SUBJECT", '"number 3"')) == [b"3"]
    assert answer(client.uid("SEARCH", "LARGER", str(len(LETTERS[3]) - 1))) == [b"4 5"]
    answer(client.uid("STORE", "1:2", "+FLAGS", r"(\Seen \Answered work)"))
    assert answer(client.search(None, "KEYWORD", "work")) == [b"1 2"]
    answer(client.uid("MOVE", "1", "Work"))
    assert client.untagged_responses.get("EXPUNGE") == [b"1"]
    answer(client.copy("1", "Work/2026"))
    answer(client.store("1", "+FLAGS", r"\Deleted"))
    assert answer(client.expunge()) == [b"1", b"1"]
    fetched = answer(client.fetch("1:*", "(UID ENVELOPE BODYSTRUCTURE RFC822.HEADER)"))
    assert len([item for item in fetched if isinstance(item, tuple)]) == 3
    answer(client.sort("REVERSE SUBJECT", "UTF-8", "ALL"))
    answer(client.check())
    answer(client.getquotaroot("INBOX"))
    answer(client.unselect())
    assert b"MESSAGES 1" in bytes(answer(client.status("Work/2026", "(MESSAGES UNSEEN)"))[0])
    answer(client.rename("Work", "Done"))
    assert b"MESSAGES 1" in bytes(answer(client.status("Done/2026", "(MESSAGES)"))[0])
    answer(client.select("Done"))
    letter = answer(client.fetch("1", "(RFC822)"))[0]
    assert isinstance(letter, tuple)
    assert letter[1] == LETTERS[0]
    assert client.logout()[0] == "BYE"


def test_imaplib_over_starttls(reader: Reader) -> None:
    client = imaplib.IMAP4(reader.host.address, reader.host.ports["imap"])
    with pytest.raises(imaplib.IMAP4.error):
        client.login(reader.account, reader.password)
    client.starttls(reader.host.context)
    answer(client.authenticate("PLAIN", lambda _: f"\0{reader.account}\0{reader.password}".encode()))
    answer(client.select())
    client.logout()


def test_imaplib_says_why_a_wrong_password_is_refused(reader: Reader) -> None:
    client = imaplib.IMAP4_SSL(
        reader.host.address, reader.host.ports["imaps"], ssl_context=reader.host.context
    )
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        client.login(reader.account, "wrong")
    client.login(reader.account, reader.password)
    client.logout()


def test_smtplib_and_the_email_package_send_what_imaplib_reads(reader: Reader) -> None:
    letter = EmailMessage()
    letter["From"] = reader.account
    letter["To"] = f"Jörg <{reader.account}>"
    letter["Subject"] = subject = f"Größe und Länge {secrets.token_hex(4)}"
    letter.set_content("Viele Grüße\n")
    letter.add_alternative("<p>Viele Grüße</p>", subtype="html")
    letter.add_attachment(
        b"\x00\x01\x02" * 1_000, maintype="application", subtype="pdf", filename="größe.pdf"
    )
    with reader.host.submission(reader.account) as client:
        assert client.has_extn("size")
        assert client.verify(reader.account)[0] in (250, 252, 502)
        assert client.send_message(letter) == {}
    until(lambda: reader.count() == 1, "the letter came in")
    (raw,) = reader.bodies().values()
    seen = email.message_from_bytes(raw, policy=email.policy.default)
    assert seen["Subject"] == subject
    assert seen["Message-ID"] is not None
    assert seen.get_body(("plain",)).get_content() == "Viele Grüße\r\n"
    assert [part.get_filename() for part in seen.iter_attachments()] == ["größe.pdf"]


def test_smtplib_hears_about_each_recipient(reader: Reader) -> None:
    with reader.host.smtp() as client:
        unknown = "nobody@example.org"
        failed = client.sendmail("carol@elsewhere.example", [reader.account, unknown], LETTERS[0])
        assert [code for code, _ in failed.values()] == [550]
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.sendmail("carol@elsewhere.example", [unknown], LETTERS[0])
    with contextlib.suppress(smtplib.SMTPException), reader.host.submission(reader.account) as client:
        code, _ = client.mail("carol@elsewhere.example")
        assert code != 250 or client.rcpt(reader.account)[0] >= 500  # nobody sends in another's name
