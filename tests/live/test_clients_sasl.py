"""SCRAM over the running daemon: a client that binds the channel, in all three protocols, and Cyrus SASL within
mbsync.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.wire.test_scram import Client

from .conftest import Host, running_town
from .foreign import Reader, need, run, until
from .test_clients_mbsync import CONFIG

WRONG = "wrong horse"


@dataclass(frozen=True)
class Speech:
    """How a protocol carries SASL."""

    listener: str
    start: bytes
    more: bytes
    done: bytes
    refused: bytes
    hello: bytes = b""


IMAP = Speech("imaps", b"a AUTHENTICATE %b %b", b"+ ", b"a OK", b"a NO [AUTHENTICATIONFAILED]")
POP3 = Speech("pop3s", b"AUTH %b %b", b"+ ", b"+OK", b"-ERR [AUTH]")
SMTP = Speech("submissions", b"AUTH %b %b", b"334 ", b"235 ", b"535 5.7.8", b"EHLO client.example")
ALL = pytest.mark.parametrize("speech", [IMAP, POP3, SMTP], ids=lambda speech: speech.listener)


class Line:
    """A TLS connection, and lines over it."""

    def __init__(self, host: Host, speech: Speech, version: ssl.TLSVersion) -> None:
        context = ssl.create_default_context(cafile=str(host.sandbox.ca_file))
        context.check_hostname = False
        context.maximum_version = version
        raw = socket.create_connection((host.address, host.ports[speech.listener]), 20)
        self.tls = context.wrap_socket(raw)
        self.file = self.tls.makefile("rb")
        self.speech = speech
        self.file.readline()
        if speech.hello:
            self.say(speech.hello)
            while b"250-" in self.file.readline():
                pass

    def say(self, line: bytes) -> None:
        self.tls.sendall(line + b"\r\n")

    def log_in(self, mechanism: bytes, client: Client, change: Callable[[bytes], bytes] = bytes) -> bytes:
        """The last answer."""
        self.say(self.speech.start % (mechanism, client.first))
        answer = self.file.readline()
        if not answer.startswith(self.speech.more):
            return answer
        self.say(change(client.final(base64.b64decode(answer.removeprefix(self.speech.more)))))
        answer = self.file.readline()
        if not answer.startswith(self.speech.more):
            return answer
        assert base64.b64decode(answer.removeprefix(self.speech.more)) == client.expected
        self.say(b"")
        return self.file.readline()


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host of this module's own: what it guesses wrongly would be held against the others' address."""
    with running_town(tmp_path_factory.mktemp("town")) as host:
        yield host


def client_of(reader: Reader) -> Client:
    return Client(password=reader.password, user=reader.account)


@ALL
def test_a_client_logs_in_and_with_a_wrong_password_does_not(reader: Reader, speech: Speech) -> None:
    line = Line(reader.host, speech, ssl.TLSVersion.TLSv1_3)
    assert line.log_in(b"SCRAM-SHA-256", replace(client_of(reader), password=WRONG)).startswith(
        speech.refused
    )
    assert line.log_in(b"SCRAM-SHA-256", client_of(reader)).startswith(speech.done)


@ALL
def test_a_client_binds_the_channel(reader: Reader, speech: Speech) -> None:
    line = Line(reader.host, speech, ssl.TLSVersion.TLSv1_2)
    unique = line.tls.get_channel_binding("tls-unique")
    assert unique is not None
    client = replace(client_of(reader), header="p=tls-unique,,", binding=unique)
    assert line.log_in(b"SCRAM-SHA-256-PLUS", replace(client, binding=unique[::-1])).startswith(
        speech.refused
    )
    assert line.log_in(b"SCRAM-SHA-256-PLUS", client).startswith(speech.done)


def test_a_client_of_tls_1_3_binds_the_certificate(reader: Reader) -> None:
    line = Line(reader.host, IMAP, ssl.TLSVersion.TLSv1_3)
    certificate = line.tls.getpeercert(binary_form=True)
    assert certificate is not None
    header, bound = "p=tls-server-end-point,,", hashlib.sha256(certificate).digest()
    client = replace(client_of(reader), header=header, binding=bound)
    assert line.log_in(b"SCRAM-SHA-256-PLUS", client).startswith(IMAP.done)


def test_a_client_that_does_not_see_the_offer_is_kept_out(reader: Reader) -> None:
    line = Line(reader.host, IMAP, ssl.TLSVersion.TLSv1_2)
    client = replace(client_of(reader), header="y,,")
    assert line.log_in(b"SCRAM-SHA-256", client).startswith(IMAP.refused)
    line = Line(reader.host, IMAP, ssl.TLSVersion.TLSv1_3)
    assert line.log_in(b"SCRAM-SHA-256", client).startswith(IMAP.done)


@ALL
@pytest.mark.parametrize(
    "said", [b"*", b"", b"!!!", b"=", b"A" * 1_000_000, base64.b64encode(b"\xff\xfe,n=,"), b"A" * 12_289]
)
def test_a_broken_exchange_ends_nobody_elses(reader: Reader, speech: Speech, said: bytes) -> None:
    waiting = Line(reader.host, speech, ssl.TLSVersion.TLSv1_3)
    client = client_of(reader)
    waiting.say(speech.start % (b"SCRAM-SHA-256", client.first))
    first = waiting.file.readline().removeprefix(speech.more)
    broken = Line(reader.host, speech, ssl.TLSVersion.TLSv1_3)
    with contextlib.suppress(ConnectionError, ssl.SSLError):  # a megabyte may end the connection
        assert not broken.log_in(b"SCRAM-SHA-256", client, lambda _: said).startswith(speech.done)
    broken.tls.close()
    waiting.say(client.final(base64.b64decode(first)))
    assert waiting.file.readline().startswith(speech.more)
    waiting.say(b"")
    assert waiting.file.readline().startswith(speech.done)


# ---- foreign clients


def mechanisms(reader: Reader) -> set[object]:
    return {row["mechanism"] for row in reader.host.events("login.ok") if row["account"] == reader.account}


def write_mbsync(reader: Reader, folder: Path, password: str) -> Path:
    for part in ("cur", "new", "tmp"):
        (folder / "mail" / "INBOX" / part).mkdir(parents=True, exist_ok=True)
    config = folder / "mbsyncrc"
    ports = reader.host.ports
    config.write_text(
        CONFIG.format(
            host=reader.host.address,
            port=ports["imaps"],
            account=reader.account,
            password=password,
            ca=reader.host.sandbox.ca_file,
            mail=folder / "mail",
        ).replace("PipelineDepth", "AuthMechs SCRAM-SHA-256\nPipelineDepth")
    )
    config.chmod(0o600)
    return config


def test_mbsync_proves_its_password_by_cyrus_sasl(reader: Reader, tmp_path: Path) -> None:
    program = need("mbsync")
    run(program, "-c", write_mbsync(reader, tmp_path, WRONG), "-a", codes=(1,))
    assert mechanisms(reader) == set()
    run(program, "-c", write_mbsync(reader, tmp_path, reader.password), "-a")
    until(lambda: mechanisms(reader) == {"SCRAM-SHA-256"}, "no SCRAM in the log")
