"""A running mail host on loopback: two workers and a queue, as `mailserver try` starts them."""

from __future__ import annotations

import imaplib
import json
import smtplib
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mailserver_py.daemon.sandbox import Plan, Sandbox
from mailserver_py.spec.keys.pem import make_ed25519, make_rsa
from mailserver_py.spec.model import MailSpec
from mailserver_py.spec.settings import Identity, derive_settings

from .foreign import Reader

PASSWORD = "correct horse battery staple"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/live" in str(item.path):
            item.add_marker(pytest.mark.live)
        if item.path.name.startswith("test_clients_"):
            item.add_marker(pytest.mark.clients)


class Host:
    """A sandbox, and what foreign clients need to reach it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.name = sandbox.plan.settings.hostname
        self.address = sandbox.plan.address
        self.ports = sandbox.ports
        self.context = ssl.create_default_context(cafile=str(sandbox.ca_file))
        self.context.check_hostname = False

    def smtp(self) -> smtplib.SMTP:
        client = smtplib.SMTP(self.address, self.ports["smtp"], local_hostname="client.example")
        client.ehlo()
        return client

    def submission(self, account: str = "alice@example.org") -> smtplib.SMTP_SSL:
        client = smtplib.SMTP_SSL(self.address, self.ports["submissions"], context=self.context)
        client.login(account, PASSWORD)
        return client

    def imap(self, account: str = "bob@example.org") -> imaplib.IMAP4_SSL:
        client = imaplib.IMAP4_SSL(self.address, self.ports["imaps"], ssl_context=self.context)
        client.login(account, PASSWORD)
        return client

    def events(self, name: str = "") -> list[dict[str, object]]:
        rows = [
            json.loads(line)
            for line in self.sandbox.log_file.read_text().splitlines()
            if line.startswith("{")
        ]
        return [row for row in rows if not name or row["event"] == name]

    def wait_for(self, account: str, token: str, timeout_s: float = 10.0) -> bytes:
        """The letter in the account's inbox that has the token in its subject."""
        client = self.imap(account)
        try:
            end = time.monotonic() + timeout_s
            while time.monotonic() < end:
                client.select()
                _, (found,) = client.uid("SEARCH", "SUBJECT", token)
                if found:
                    _, data = client.uid("FETCH", found.split()[-1].decode(), "(BODY.PEEK[])")
                    return bytes(data[0][1])
                time.sleep(0.05)
        finally:
            client.logout()
        raise AssertionError(f"no letter {token!r}; log:\n{self.sandbox.last_words()}")


def make_spec(domain: str, address: str, **extra: object) -> MailSpec:
    return MailSpec.model_validate(
        {
            "domains": {domain: {}},
            "hosts": {f"mx1.{domain}": {"ipv4": address}},
            "accounts": {
                f"alice@{domain}": {"aliases": [f"sales@{domain}"]},
                f"bob@{domain}": {},
            },
            "groups": {f"all@{domain}": {"members": [f"alice@{domain}", f"bob@{domain}"]}},
            "listeners": {"imap": True, "pop3": True},
            "limits": {"connections_per_address": 200},
            "tls": {"source": "self-signed"},
            **extra,
        }
    )


DKIM = {"r1": (make_rsa(), "rsa-sha256"), "e1": (make_ed25519(), "ed25519-sha256")}


def make_plan(spec: MailSpec, address: str) -> Plan:
    settings = derive_settings(spec, next(iter(spec.hosts)), {})
    identities = tuple(Identity(selector=s, algorithm=a) for s, (_, a) in DKIM.items())
    domains = {
        name: domain.model_copy(update={"dkim": identities}) for name, domain in settings.domains.items()
    }
    return Plan(
        settings.model_copy(update={"domains": domains}),
        passwords=dict.fromkeys(settings.accounts, PASSWORD),
        dkim_keys={(s, domain): pem for s, (pem, _) in DKIM.items() for domain in settings.domains},
        address=address,
    )


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    sandbox = Sandbox(
        tmp_path_factory.mktemp("host"), make_plan(make_spec("example.org", "127.0.0.1"), "127.0.0.1")
    )
    sandbox.open()
    sandbox.write_rehearsal({}, {})
    try:
        sandbox.start()
        yield Host(sandbox)
    finally:
        assert sandbox.stop() == 0


READERS = [f"reader{number}@example.org" for number in range(1, 161)]
"""One account for every test with a foreign client, so that none meets another's letters."""


@contextmanager
def running_town(folder: Path) -> Iterator[Host]:
    """A host with many accounts."""
    accounts: dict[str, dict[str, object]] = {
        name: {} for name in ("alice@example.org", "bob@example.org", *READERS)
    }
    spec = make_spec("example.org", "127.0.0.1", accounts=accounts)
    sandbox = Sandbox(folder, make_plan(spec, "127.0.0.1"))
    sandbox.open()
    sandbox.write_rehearsal({}, {})
    try:
        sandbox.start()
        yield Host(sandbox)
    finally:
        assert sandbox.stop() == 0


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One for all tests with foreign clients."""
    with running_town(tmp_path_factory.mktemp("town")) as host:
        yield host


@pytest.fixture(scope="session")
def readers() -> Iterator[str]:
    return iter(READERS)


@pytest.fixture
def reader(town: Host, readers: Iterator[str]) -> Reader:
    """An account that is this test's own."""
    return Reader(town, next(readers), PASSWORD)


@pytest.fixture
def tmp(tmp_path: Path) -> Path:
    return tmp_path
