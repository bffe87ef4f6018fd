"""The life of the processes: certificates that change, sessions at the end, one that is killed, bytes that
hurt.
"""

from __future__ import annotations

import contextlib
import imaplib
import os
import secrets
import signal
import socket
import sqlite3
import ssl
import time
from collections.abc import Iterator

import pytest

from mailserver_py.daemon.sandbox import Sandbox
from tests.net.certificates import write_certificate

from .conftest import Host, make_plan, make_spec
from .test_letters import letter


@pytest.fixture
def own_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host of this test's own, which it may hurt."""
    spec = make_spec("example.org", "127.0.0.1")
    sandbox = Sandbox(tmp_path_factory.mktemp("own"), make_plan(spec, "127.0.0.1"))
    sandbox.open()
    sandbox.write_rehearsal({}, {})
    try:
        sandbox.start()
        yield Host(sandbox)
    finally:
        sandbox.stop()


def served_certificate(host: Host, name: str = "imaps") -> bytes:
    context = ssl._create_unverified_context()
    with (
        socket.create_connection((host.address, host.ports[name]), 5) as raw,
        context.wrap_socket(raw) as tls,
    ):
        return tls.getpeercert(binary_form=True) or b""


def test_a_new_certificate_is_served_without_a_restart(own_host: Host) -> None:
    before, loaded_count = served_certificate(own_host), len(own_host.events("cert.loaded"))
    folder = own_host.sandbox.ca_file.parent
    fresh = folder.with_name("fresh")
    write_certificate(fresh, own_host.name)
    folder.rename(folder.with_name("old"))
    fresh.rename(folder)
    end = time.monotonic() + 10
    while time.monotonic() < end and served_certificate(own_host) == before:
        time.sleep(0.2)
    time.sleep(2.5)  # the other worker has looked by then, too
    assert all(served_certificate(own_host) != before for _ in range(6))
    assert len(own_host.events("cert.loaded")) == 2 * loaded_count


def test_a_broken_certificate_changes_nothing(own_host: Host) -> None:
    before = served_certificate(own_host)
    own_host.sandbox.ca_file.write_text("no certificate")
    time.sleep(3)
    assert served_certificate(own_host) == before
    assert own_host.events("cert.unusable")


def test_sessions_are_told_in_their_protocols_words_when_the_host_stops(own_host: Host) -> None:
    smtp = own_host.smtp()
    imap = own_host.imap()
    imap.select()
    imap.send(b"x IDLE\r\n")
    assert imap.readline().startswith(b"+")
    pop = socket.create_connection((own_host.address, own_host.ports["pop3"]), 5)
    assert pop.recv(100).startswith(b"+OK")
    started = time.monotonic()
    for process in own_host.sandbox.processes:
        process.send_signal(signal.SIGTERM)
    assert smtp.getreply()[0] == 421
    assert b"* BYE" in imap.readline()
    assert pop.recv(100)[:4] in (b"-ERR", b"")
    assert own_host.sandbox.stop() == 0
    assert time.monotonic() - started < 5


def test_a_letter_under_way_is_finished_before_the_host_stops(own_host: Host) -> None:
    smtp = own_host.smtp()
    smtp.mail("carol@elsewhere.example")
    smtp.rcpt("bob@example.org")
    assert smtp.docmd("DATA")[0] == 354
    smtp.send(letter("half", body="x" * 1000)[:200])
    for process in own_host.sandbox.processes:
        process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    smtp.send(letter("half", body="x" * 1000)[200:] + b".\r\n")
    assert smtp.getreply()[0] == 250
    assert own_host.sandbox.stop() == 0


def test_a_killed_worker_hurts_its_own_connections_only(own_host: Host) -> None:
    own_host.sandbox.processes[0].kill()
    own_host.sandbox.processes[0].wait()
    token = secrets.token_hex(4)
    with own_host.smtp() as client:
        client.sendmail("carol@elsewhere.example", ["bob@example.org"], letter(token))
    assert own_host.wait_for("bob@example.org", token)


def test_what_a_worker_had_in_hand_when_it_was_killed_arrives_within_seconds(own_host: Host) -> None:
    own_host.imap().logout()  # makes the account
    (index,) = own_host.sandbox.folder.glob("state/accounts/**/*bob*/**/*.db")
    client = own_host.smtp()
    assert client.mail("carol@elsewhere.example")[0] == client.rcpt("bob@example.org")[0] == 250
    with contextlib.closing(sqlite3.connect(index, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")  # the delivery waits for it
        assert client.data(letter("in hand"))[0] == 250
        for worker in own_host.sandbox.processes[:2]:
            worker.kill()
            worker.wait()
    assert own_host.events("delivery.local") == []
    end = time.monotonic() + 5
    while time.monotonic() < end and not own_host.events("delivery.local"):
        time.sleep(0.05)
    assert len(own_host.events("delivery.local")) == 1


@pytest.mark.parametrize("name", ["smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s"])
@pytest.mark.parametrize(
    "hostile",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x00" * 5_000,
        b"\xff\xfe\r\n" * 200,
        b"A" * 1_000_000,
        b"\x16\x03\x01\xff\xff" + b"\x01" * 70_000,
        b"a " * 10_000 + b"\r\n",
        b"{999999999999}\r\n",
    ],
    ids=["http", "nul", "8-bit", "endless line", "broken hello", "spaces", "literal"],
)
def test_hostile_bytes_end_in_a_refusal_and_no_incident(host: Host, name: str, hostile: bytes) -> None:
    with socket.create_connection((host.address, host.ports[name]), 5) as client:
        client.settimeout(5)
        with contextlib.suppress(ConnectionError, OSError):  # it may hang up on us at any byte
            client.sendall(hostile)
            client.shutdown(socket.SHUT_WR)
            while client.recv(65_536):
                pass
    assert host.events("session.error") == []


def test_many_connections_of_one_address_are_refused_politely(host: Host) -> None:
    limit = host.sandbox.plan.settings.limits.connections_per_address
    clients = [socket.create_connection((host.address, host.ports["pop3"]), 5) for _ in range(2 * limit + 20)]
    try:
        answers = []
        for client in clients:
            client.settimeout(5)
            answers.append(client.recv(200))
        refused = [answer for answer in answers if answer.startswith(b"-ERR [SYS/TEMP]")]
        assert len(refused) >= 20
        assert sum(answer.startswith(b"+OK") for answer in answers) >= limit
    finally:
        for client in clients:
            client.close()
    time.sleep(0.3)
    with socket.create_connection((host.address, host.ports["pop3"]), 5) as client:
        assert client.recv(200).startswith(b"+OK")


def test_no_secret_is_in_the_log_or_on_a_command_line(host: Host) -> None:
    with pytest.raises(imaplib.IMAP4.error):
        imaplib.IMAP4_SSL(host.address, host.ports["imaps"], ssl_context=host.context).login(
            "alice@example.org", "sesame-canary"
        )
    text = host.sandbox.log_file.read_text()
    for process in host.sandbox.processes:
        with open(f"/proc/{process.pid}/cmdline") as file:
            text += file.read()
        with open(f"/proc/{process.pid}/environ") as file:
            text += file.read()
    for secret in ("sesame-canary", *host.sandbox.plan.passwords.values()):
        assert secret not in text
    assert os.stat(host.sandbox.folder / "credentials" / "passwords").st_mode & 0o77 == 0
