"""A mail host without sockets: the SMTP sessions, the embedded store in a folder, a table of records for a
DNS.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from mailserver_py.daemon.context import DaemonContext, FrozenClock
from mailserver_py.daemon.hub import Hub
from mailserver_py.daemon.log import Log
from mailserver_py.daemon.policy import Policy
from mailserver_py.daemon.smtp_session import serve_smtp
from mailserver_py.mailstore.embedded.store import EmbeddedStore
from mailserver_py.net.connection import Connection
from mailserver_py.net.pretend import PretendConnection, pretend_pair
from mailserver_py.net.resolver import TableResolver
from mailserver_py.senderauth.dkim import SigningKey, dkim_record, owner_name
from mailserver_py.smtp.extensions import Role
from mailserver_py.spec.model import Limits, Listeners, QueueRules, Retention
from mailserver_py.spec.settings import AccountSettings, DomainSettings, HostSettings

from .known import KnownPasswords

ALICE, BOB, CAROL = "alice@lab.test", "bob@lab.test", "carol@lab.test"

KEYS = (
    SigningKey("lab.test", "r1", generate_private_key(65_537, 2_048)),
    SigningKey("lab.test", "e1", Ed25519PrivateKey.generate()),
)

RECORDS = {
    ("good.test", "TXT"): ('"v=spf1 ip4:192.0.2.7 -all"',),
    ("evil.test", "TXT"): ('"v=spf1 -all"',),
}


def settings(**changes: object) -> HostSettings:
    """alice (with the alias al@), bob, a disabled carol, a group of both, a second domain with a
    catch-all.
    """
    values: dict[str, object] = {
        "hostname": "mx1.lab.test",
        "os_user": "mailserver",
        "workers": 1,
        "domains": {
            "lab.test": DomainSettings(),
            "xn--bcher-kva.test": DomainSettings(catch_all="al@lab.test"),
        },
        "accounts": {
            ALICE: AccountSettings(quota_bytes=0, send_as=(ALICE, "al@lab.test", "team@lab.test")),
            BOB: AccountSettings(quota_bytes=0),
            CAROL: AccountSettings(quota_bytes=0, enabled=False),
        },
        "addresses": {
            "al@lab.test": (ALICE,),
            "postmaster@lab.test": (ALICE,),
            "team@lab.test": (ALICE, BOB),
            "away@lab.test": ("someone@peer.test", BOB),
            "odd+tag@lab.test": (BOB,),
        },
        "subaddress_separator": "+",
        "listeners": Listeners(),
        "limits": Limits(),
        "queue": QueueRules(),
        "retention": Retention(),
        "tls_source": "self-signed",
    }
    return HostSettings.model_validate(values | changes)


class World:
    """One server process."""

    def __init__(self, store: EmbeddedStore, host: HostSettings) -> None:
        self.lines: list[dict[str, object]] = []
        self.store = store
        clock = FrozenClock()
        ids = (f"trace{number:011d}" for number in itertools.count(1))
        resolver = TableResolver(
            RECORDS
            | {
                (owner_name(key.selector, key.domain), "TXT"): (
                    _quoted(dkim_record(key.private.public_key())),
                )
                for key in KEYS
            }
        )
        self.context = DaemonContext(
            settings=host,
            store=store,
            passwords=KnownPasswords(ALICE, BOB),
            clock=clock,
            log=Log(clock.now, lambda line: self.lines.append(json.loads(line))),
            hub=Hub(),
            resolver=resolver,
            ids=lambda: next(ids),
            policy=Policy(host, resolver),
            owner="worker-1",
            signing_keys={"lab.test": KEYS},
        )

    def connect(self, role: Role = Role.MX, *, tls: bool = False) -> Client:
        server, client = pretend_pair(tls=tls)
        return Client(self, server, client, role)

    async def letters(self, account: str) -> list[bytes]:
        """All letters in an account's INBOX."""
        opened = await self.store.account(account)
        inbox = (await opened.list_mailboxes())[0]
        uids = [message.uid for message in await opened.messages(inbox.mailbox_id)]
        found: list[bytes] = []
        async for chunk in opened.letters(inbox.mailbox_id, uids):
            found.extend(letter for _, letter in chunk if letter is not None)
        return found

    def events(self, name: str) -> list[dict[str, object]]:
        return [line for line in self.lines if line["event"] == name]


class Client:
    """The other end, line by line."""

    def __init__(self, world: World, server: Connection, end: PretendConnection, role: Role) -> None:
        self.end = end
        self._serving = asyncio.create_task(self._serve(world, server, role))

    async def _serve(self, world: World, server: Connection, role: Role) -> None:
        try:
            await serve_smtp(server, world.context, role, failure_delay_s=0)
        finally:
            await server.close()

    async def reply(self) -> str:
        """The next whole reply, its last line."""
        text = b""
        while not (text.endswith(b"\r\n") and text.split(b"\r\n")[-2][3:4] == b" "):
            chunk = await self.end.read(2)
            if not chunk:
                return text.decode() or "closed"
            text += chunk
        return text.decode().split("\r\n")[-2]

    async def say(self, line: str) -> str:
        await self.end.write(line.encode() + b"\r\n")
        return await self.reply()

    async def hello(self) -> Client:
        await self.reply()
        await self.say("EHLO client.test")
        return self

    async def log_in(self, user: str) -> Client:
        await self.hello()
        assert (await self.say("AUTH PLAIN " + b64encode(f"\0{user}\0secret".encode()).decode())).startswith(
            "235"
        )
        return self

    async def send(self, sender: str, recipients: list[str], letter: bytes) -> str:
        answer = await self.say(f"MAIL FROM:<{sender}>")
        assert answer.startswith("250"), answer
        for recipient in recipients:
            answer = await self.say(f"RCPT TO:<{recipient}>")
            assert answer.startswith("250"), answer
        assert (await self.say("DATA")).startswith("354")
        return await self.say(letter.decode("latin-1").replace("\r\n.", "\r\n..") + ".")

    async def quit(self) -> None:
        """Says goodbye, and waits for what the session still delivers."""
        await self.say("QUIT")
        await self._serving


def _quoted(record: str) -> str:
    return " ".join(f'"{record[at : at + 255]}"' for at in range(0, len(record), 255))


MEMORY_FOLDER = Path("/dev/shm")
"""Where syncing costs nothing; what a sync is worth is the store's own tests' matter."""


@asynccontextmanager
async def running(folder: Path | None = None, **changes: object) -> AsyncIterator[World]:
    """A host on the store in the folder, or on an empty one in memory."""
    with TemporaryDirectory(dir=MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None) as memory:
        store = EmbeddedStore.open((folder or Path(memory)) / "store")
        try:
            yield World(store, settings(**changes))
        finally:
            await store.close()
