"""IMAPClient and imap-tools, the two that scripts use: folders, letters, search, flags, moves, IDLE."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from email.message import EmailMessage

import pytest
from imap_tools import AND, MailBox, MailMessageFlags
from imapclient import DELETED, SEEN, IMAPClient
from imapclient.exceptions import IMAPClientError, LoginError

from .foreign import Reader, real_letters, until

STARTED = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)


def written(subject: str, text: str = "Hello", *, attachment: bytes = b"") -> bytes:
    letter = EmailMessage()
    letter["From"] = "Carol Größe <carol@elsewhere.example>"
    letter["To"] = "Bob <bob@example.org>, all: a@x.example, b@x.example;"
    letter["Subject"] = subject
    letter["Date"] = "Tue, 24 Nov 2026 10:00:00 +0000"
    letter["Message-ID"] = f"<{abs(hash(subject))}@elsewhere.example>"
    letter.set_content(text)
    if attachment:
        letter.add_attachment(attachment, maintype="image", subtype="png", filename="bild.png")
    return letter.as_bytes().replace(b"\n", b"\r\n")


@pytest.fixture
def client(reader: Reader) -> Iterator[IMAPClient]:
    client = IMAPClient(
        reader.host.address, reader.host.ports["imaps"], ssl_context=reader.host.context, timeout=20
    )
    client.login(reader.account, reader.password)
    with client:
        yield client


@pytest.fixture
def mailbox(reader: Reader) -> Iterator[MailBox]:
    box = MailBox(reader.host.address, reader.host.ports["imaps"], ssl_context=reader.host.context)
    with box.login(reader.account, reader.password) as box:
        yield box


def later(action: object, *arguments: object, after_s: float = 0.3) -> threading.Timer:
    timer = threading.Timer(after_s, action, arguments)  # type: ignore[arg-type]
    timer.start()
    return timer


def test_imapclient_keeps_folders(client: IMAPClient) -> None:
    assert {b"IMAP4REV1", b"IDLE", b"MOVE", b"UIDPLUS", b"NAMESPACE"} <= set(client.capabilities())
    client.id_({"name": "IMAPClient"})
    assert client.namespace().personal == (("", "/"),)
    client.create_folder("Büro/日本語")
    assert client.folder_exists("Büro/日本語")
    assert "Büro/日本語" in [name for _, _, name in client.list_folders()]
    client.subscribe_folder("Büro/日本語")
    assert "Büro/日本語" in [name for _, _, name in client.list_sub_folders()]
    client.rename_folder("Büro", "Office & Co")
    assert client.folder_status("Office & Co/日本語", ["MESSAGES", "UIDNEXT"]) == {
        b"MESSAGES": 0,
        b"UIDNEXT": 1,
    }
    with pytest.raises(IMAPClientError, match="ALREADYEXISTS"):
        client.create_folder("Office & Co/日本語")
    client.delete_folder("Office & Co/日本語")
    with pytest.raises(IMAPClientError, match="NONEXISTENT"):
        client.select_folder("Office & Co/日本語")
    for flag in (b"\\Sent", b"\\Trash", b"\\Drafts", b"\\Junk", b"\\Archive"):
        assert client.find_special_folder(flag) is not None, flag


def test_imapclient_reads_envelope_and_structure(client: IMAPClient) -> None:
    client.append("INBOX", written("Grüße", attachment=b"\x89PNG" * 50), [b"\\Flagged", b"$Work"], STARTED)
    assert client.select_folder("INBOX")[b"EXISTS"] == 1
    items = [b"ENVELOPE", b"BODYSTRUCTURE", b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"BODY.PEEK[1]"]
    (seen,) = client.fetch([1], items).values()
    envelope = seen[b"ENVELOPE"]
    assert envelope.date == datetime(2026, 11, 24, 10, 0)
    assert (envelope.from_[0].mailbox, envelope.from_[0].host) == (b"carol", b"elsewhere.example")
    assert [address.mailbox for address in envelope.to] == [b"bob", b"all", b"a", b"b", None]
    assert envelope.subject == b"=?utf-8?q?Gr=C3=BC=C3=9Fe?="
    structure = seen[b"BODYSTRUCTURE"]
    assert structure.is_multipart
    assert [part[:2] for part in structure[0]] == [(b"text", b"plain"), (b"image", b"png")]
    assert structure[0][1][8] == (b"attachment", (b"filename", b"bild.png"))
    assert seen[b"FLAGS"] == (b"\\Flagged", b"$Work")
    assert seen[b"INTERNALDATE"].astimezone(UTC) == STARTED
    assert seen[b"BODY[1]"] == b"Hello\r\n"


def test_imapclient_understands_every_real_letter(reader: Reader, client: IMAPClient) -> None:
    letters = real_letters(600)
    reader.put(letters)
    client.select_folder("INBOX", readonly=True)
    seen = client.fetch(client.search(), [b"ENVELOPE", b"BODYSTRUCTURE", b"RFC822.SIZE"])
    assert [one[b"RFC822.SIZE"] for one in seen.values()] == list(map(len, letters))
    assert all(one[b"ENVELOPE"] and one[b"BODYSTRUCTURE"] for one in seen.values())


def test_imapclient_searches_flags_copies_moves_and_sorts(client: IMAPClient) -> None:
    client.create_folder("Away")
    client.multiappend("INBOX", [written(f"Betreff {name}", f"wörter {name}") for name in "cab"])
    client.select_folder("INBOX")
    assert client.search(["TEXT", "wörter"], "UTF-8") == [1, 2, 3]
    assert client.search(["SUBJECT", "Betreff a", "SINCE", date(2026, 1, 1), "NOT", "DELETED"]) == [2]
    assert client.search(["OR", "SUBJECT", "f b", ["UID", "1", "UNSEEN"]]) == [1, 3]
    assert client.sort("SUBJECT") == [2, 3, 1]
    assert client.add_flags([1, 2], [SEEN, b"MyLabel"]) == {
        1: (SEEN, b"MyLabel"),
        2: (SEEN, b"MyLabel"),
    }
    client.remove_flags([1], SEEN)
    assert client.get_flags([1, 2]) == {1: (b"MyLabel",), 2: (SEEN, b"MyLabel")}
    client.set_flags([3], [DELETED])
    assert client.expunge()[1] == [(3, b"EXPUNGE")]
    client.copy([1], "Away")
    client.move([2], "Away")
    assert client.search() == [1]
    client.delete_messages([1])
    client.uid_expunge([1])
    assert client.select_folder("Away", readonly=True)[b"EXISTS"] == 2
    with pytest.raises(IMAPClientError):
        client.delete_messages([1])


def test_imapclient_idles(reader: Reader, client: IMAPClient) -> None:
    client.select_folder("INBOX")
    client.idle()
    sending = later(reader.receive, written("while idle"))
    came = client.idle_check(timeout=10)
    assert (1, b"EXISTS") in came
    client.idle_done()
    sending.join()
    assert client.search(["SUBJECT", "while idle"]) == [1]


def test_imapclient_is_told_a_wrong_password(reader: Reader) -> None:
    client = IMAPClient(reader.host.address, reader.host.ports["imaps"], ssl_context=reader.host.context)
    with pytest.raises(LoginError, match="AUTHENTICATIONFAILED"):
        client.login(reader.account, "wrong")
    client.plain_login(reader.account, reader.password)
    client.logout()


def test_imap_tools_works_through_a_mailbox(mailbox: MailBox) -> None:
    for number in range(6):
        mailbox.append(
            written(f"Rechnung {number}", attachment=b"\x89PNG" * number),
            "INBOX",
            dt=STARTED,
            flag_set=["\\Draft"],
        )
    letters = list(mailbox.fetch(AND(subject="Rechnung", seen=False), mark_seen=False, bulk=True))
    assert [letter.subject for letter in letters] == [f"Rechnung {number}" for number in range(6)]
    assert letters[0].from_values.name == "Carol Größe"
    assert letters[5].attachments[0].filename == "bild.png"
    assert letters[5].attachments[0].payload == b"\x89PNG" * 5
    assert letters[0].text == "Hello\r\n"
    assert letters[0].flags == (MailMessageFlags.DRAFT,)
    assert [one.subject for one in mailbox.fetch(limit=2, reverse=True, headers_only=True)] == [
        "Rechnung 5",
        "Rechnung 4",
    ]
    assert mailbox.uids(AND(seen=True)) == ["5", "6"]  # the last fetch was no peek
    mailbox.flag(["1", "2"], (MailMessageFlags.FLAGGED, "Bezahlt"), True)
    assert mailbox.uids(AND(keyword="Bezahlt", flagged=True)) == ["1", "2"]
    assert mailbox.uids(AND(date_gte=date(2026, 11, 24), size_gt=10)) == [str(n) for n in range(1, 7)]
    assert mailbox.uids(sort="REVERSE DATE")
    assert mailbox.numbers_to_uids(["2"]) == ["2"]


def test_imap_tools_keeps_folders_and_moves(mailbox: MailBox) -> None:
    mailbox.folder.create("Ordner/Größe")
    assert mailbox.folder.exists("Ordner/Größe")
    names = {folder.name: folder.flags for folder in mailbox.folder.list()}
    assert "Ordner/Größe" in names
    mailbox.folder.subscribe("Ordner/Größe", True)
    assert [folder.name for folder in mailbox.folder.list(subscribed_only=True, search_args="Ordner*")]
    for number in range(4):
        mailbox.append(written(f"n {number}"), "INBOX")
    mailbox.folder.set("INBOX")
    mailbox.copy("1", "Ordner/Größe")
    mailbox.move(["2", "3"], "Ordner/Größe")
    mailbox.delete("4")
    assert mailbox.uids() == ["1"]
    assert mailbox.folder.status("Ordner/Größe")["MESSAGES"] == 3
    mailbox.folder.set("Ordner/Größe", readonly=True)
    assert sorted(one.subject for one in mailbox.fetch(mark_seen=False)) == ["n 0", "n 1", "n 2"]
    mailbox.folder.unset()
    mailbox.folder.rename("Ordner", "Alt")
    mailbox.folder.delete("Alt/Größe")
    assert not mailbox.folder.exists("Alt/Größe")


def test_imap_tools_idles(reader: Reader, mailbox: MailBox) -> None:
    sending = later(reader.receive, written("while idle"))
    began = time.monotonic()
    answers = mailbox.idle.wait(timeout=10)
    assert b"* 1 EXISTS" in answers
    assert time.monotonic() - began < 9
    sending.join()
    until(lambda: len(mailbox.uids(AND(subject="while idle"))) == 1, "the letter is found")
