"""A phone, a desktop and a POP3 client on one account at the same time: each does its own, and all agree at the end.

The phone idles and fetches headers of what is new; the desktop idles too, files, flags and deletes; the POP3 client
downloads from the inbox and deletes what it has; strangers go on sending.
"""

from __future__ import annotations

import poplib
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from .foreign import Reader, Wire

LETTERS = 60
"""From strangers, while all three are at work."""

WITHIN_S = 30
"""For all of it, on a loaded machine."""

SUBJECT = re.compile(rb"Subject: (\w+)")


class Session(Wire):
    """A client that keeps the state of one mailbox as the server tells it, number by number."""

    def __init__(self, reader: Reader, mailbox: bytes = b"INBOX") -> None:
        super().__init__(reader)
        self.uids: list[int] = []
        self.flags: dict[int, set[bytes]] = {}
        self.hear(self.ask(b'SELECT "%b"' % mailbox))
        self.learn()

    def hear(self, seen: bytes) -> None:
        """Takes in untagged EXISTS, EXPUNGE and FETCH; a new letter's UID is unknown until it is asked for."""
        for line in seen.split(b"\r\n"):
            if found := re.match(rb"\* (\d+) EXISTS", line):
                count = int(found[1])
                assert count >= len(self.uids), "EXISTS takes no letter away"
                self.uids += [0] * (count - len(self.uids))
            elif found := re.match(rb"\* (\d+) EXPUNGE", line):
                assert 0 < int(found[1]) <= len(self.uids), line
                self.flags.pop(self.uids.pop(int(found[1]) - 1), None)
            elif found := re.match(rb"\* (\d+) FETCH \((.*)\)", line):
                self.note(int(found[1]), found[2])

    def note(self, number: int, items: bytes) -> None:
        uid = re.search(rb"UID (\d+)", items)
        if uid:
            assert self.uids[number - 1] in (0, int(uid[1])), "a number means one letter"
            self.uids[number - 1] = int(uid[1])
        flags = re.search(rb"FLAGS \(([^)]*)\)", items)
        if flags and self.uids[number - 1]:
            self.flags[self.uids[number - 1]] = set(flags[1].split())

    def learn(self) -> None:
        """Asks for what it does not know."""
        if 0 in self.uids:
            first = self.uids.index(0) + 1
            self.hear(self.ask(b"FETCH %d:* (UID FLAGS)" % first))

    def idle(self, timeout_s: float) -> None:
        """IDLE until something comes or the time is over."""
        tag = self.send(b"IDLE")
        self.hear(self.until(b"+ "))
        self.socket.settimeout(timeout_s)
        try:
            self.hear(self.until(b"* "))
        except TimeoutError:
            pass
        finally:
            self.socket.settimeout(30)
        self.socket.sendall(b"DONE\r\n")
        self.hear(self.until(tag + b" OK"))
        self.learn()

    def view(self) -> dict[int, set[bytes]]:
        self.hear(self.ask(b"NOOP"))
        self.learn()
        return {uid: self.flags[uid] for uid in self.uids}


def letter(number: int) -> bytes:
    text = (
        f"From: carol@elsewhere.example\r\nTo: you@example.org\r\nSubject: n{number}\r\n\r\ntext {number}\r\n"
    )
    return text.encode()


def send(reader: Reader) -> None:
    with reader.host.smtp() as client:
        for number in range(LETTERS):
            client.sendmail("carol@elsewhere.example", [reader.account], letter(number))
            time.sleep(0.02)


def phone(reader: Reader, ended: Callable[[], bool]) -> tuple[Session, set[bytes]]:
    """Idles; at each news fetches the headers, and marks every fourth letter as read."""
    session = Session(reader)
    headers: set[bytes] = set()
    known = 0
    while not ended():
        session.idle(0.2)
        news = [uid for uid in session.uids if uid > known]
        if not news:
            continue
        seen = session.ask(
            b"UID FETCH %d:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT FROM DATE)])" % (known + 1)
        )
        headers |= set(SUBJECT.findall(seen))
        session.hear(seen)
        known = max(news)
        for uid in news:
            if uid % 4 == 0:
                session.hear(session.ask(b"UID STORE %d +FLAGS (\\Seen)" % uid))
    return session, headers


def desktop(reader: Reader, ended: Callable[[], bool]) -> tuple[Session, int]:
    """Flags some letters, files some, deletes some."""
    session = Session(reader)
    done: set[int] = set()
    filed = 0
    while not ended():
        session.idle(0.1)
        for uid in [uid for uid in session.uids if uid and uid not in done]:
            done.add(uid)
            if uid % 5 == 1:
                session.hear(session.ask(b"UID STORE %d +FLAGS (\\Flagged $Work)" % uid))
            elif uid % 5 == 2:
                seen = session.ask(b"UID MOVE %d Archive" % uid)
                filed += seen.count(b"[COPYUID ")
                session.hear(seen)
            elif uid % 5 == 3:
                session.hear(session.ask(b"UID STORE %d +FLAGS.SILENT (\\Deleted)" % uid))
                session.hear(session.ask(b"UID EXPUNGE %d" % uid))
    return session, filed


def post_office(reader: Reader, ended: Callable[[], bool]) -> dict[str, bytes]:
    """Downloads by UIDL and deletes every seventh of what it has."""
    kept: dict[str, bytes] = {}
    while not ended():
        try:
            client = reader.pop3()
        except poplib.error_proto as error:
            assert b"IN-USE" in error.args[0]
            continue
        for line in client.uidl()[1]:
            number, _, uid = line.decode().partition(" ")
            if uid in kept:
                continue
            try:
                kept[uid] = b"\r\n".join((*client.retr(int(number))[1], b""))
            except poplib.error_proto:
                continue  # the desktop was quicker
            if len(kept) % 7 == 0:
                client.dele(int(number))
        client.quit()
        time.sleep(0.1)
    return kept


def test_a_phone_a_desktop_and_a_pop3_client_agree_at_the_end(reader: Reader) -> None:
    over = threading.Event()
    with ThreadPoolExecutor(4) as pool:
        sending = pool.submit(send, reader)
        at_phone = pool.submit(phone, reader, over.is_set)
        at_desktop = pool.submit(desktop, reader, over.is_set)
        at_post = pool.submit(post_office, reader, over.is_set)
        try:
            sending.result(WITHIN_S)
            time.sleep(1.5)  # the last letters are seen by all
        finally:
            over.set()
        on_phone, headers = at_phone.result(WITHIN_S)
        on_desktop, filed = at_desktop.result(WITHIN_S)
        downloaded = at_post.result(WITHIN_S)

    fresh = Session(reader).view()
    assert on_phone.view() == on_desktop.view() == fresh
    assert fresh, "something is left"
    assert Session(reader, b"Archive").view().keys() == set(range(1, filed + 1))
    assert headers, "the phone saw letters come"
    bodies = reader.bodies()
    assert set(bodies) == set(fresh)
    # UIDL is the letter's for good: what POP3 has of a letter is what IMAP has.
    letters = set(downloaded.values())
    assert sum(body in letters for body in bodies.values()) == len(bodies)
    client = reader.pop3()
    assert {line.split()[1].decode() for line in client.uidl()[1]} <= set(downloaded)
    client.quit()
    on_phone.close()
    on_desktop.close()
