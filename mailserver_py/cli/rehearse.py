"""What `mailserver try` is made of: a small world on loopback, with our host in it and a stranger's.

Both hosts are the same daemon; the stranger has a domain and keys of its own. The DNS of this world is what
`zone` says for the two specs, so a letter from one to the other is looked up, dialled, encrypted, checked by
SPF and DKIM, and handed over as in the real one. What is not real: the ports, the certificates, and that
nobody else is there.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..daemon.options import Part
from ..daemon.sandbox import Plan, Sandbox
from ..net.resolver import TableResolver
from ..net.tls import verified_context
from ..senderauth.dkim.keys import algorithm_of, parse_private_key, serialize_public_key
from ..spec.address_plan import verification_account
from ..spec.keys.needed import dkim_selectors, make_password
from ..spec.listeners import open_listeners
from ..spec.model import MailSpec, Stranger
from ..spec.settings import PublicKey, derive_settings
from ..verify.world import Door, Login, World
from ..zone import WantedRecord, render

EXAMPLE = {
    "domains": {"example.org": {}},
    "hosts": {"mx1.example.org": {"ipv4": "127.0.0.1"}},
    "accounts": {
        "alice@example.org": {"display_name": "Alice", "aliases": ["info@example.org"]},
        "bob@example.org": {"display_name": "Bob"},
    },
    "groups": {"team@example.org": {"members": ["alice@example.org", "bob@example.org"]}},
    "listeners": {"imap": True, "pop3": True},
    "tls": {"source": "self-signed"},
}
"""The spec of a try without a site."""

STRANGER_DOMAIN = "stranger.test"
STRANGER = f"carol@{STRANGER_DOMAIN}"
"""Somebody else's user; `.test` is nobody's (RFC 6761 §6.2)."""

OUR_ADDRESS = "127.0.0.1"
STRANGERS_ADDRESS = "127.0.0.2"

SMTP_PORT = 25


@dataclass(frozen=True, slots=True)
class House:
    """One host of the rehearsal."""

    spec: MailSpec
    host: str
    address: str
    sandbox: Sandbox
    records: Sequence[WantedRecord]
    passwords: Mapping[str, str]


class Rehearsal:
    """Two houses in a folder. `start`, `world` for the verification, `stop`."""

    def __init__(self, spec: MailSpec, folder: Path, port_base: int) -> None:
        """Makes keys and passwords, binds ports, writes files. Raises OperatorError."""
        self.ours = _make_house(_localize(spec), OUR_ADDRESS, folder / "ours", port_base, workers=2)
        self.stranger = _make_house(
            _stranger_spec(), STRANGERS_ADDRESS, folder / "stranger", port_base, workers=0
        )
        self._answers = _answers((self.ours, self.stranger))
        houses = (self.ours, self.stranger)
        detours = {house.address: {SMTP_PORT: house.sandbox.ports["smtp"]} for house in houses}
        for house in houses:
            house.sandbox.write_rehearsal(self._answers, detours)

    def start(self) -> None:
        """Both houses answer when this returns. Raises WorldError."""
        self.stranger.sandbox.start()
        self.ours.sandbox.start()

    def stop(self) -> int:
        """Both are gone when this returns; the worst exit status of their processes."""
        return max(self.ours.sandbox.stop(), self.stranger.sandbox.stop())

    def world(self) -> World:
        """This world, as the verification looks at it."""
        ours, ports = self.ours, self.ours.sandbox.ports
        resolver = TableResolver({key: tuple(texts) for key, texts in self._answers.items()})
        account = verification_account(ours.spec)
        strangers = self.stranger.sandbox
        return World(
            spec=ours.spec,
            records=ours.records,
            resolver=resolver,
            authority=resolver,
            doors=tuple(
                Door(ours.host, ours.address, ports[listener.name], listener)
                for listener in open_listeners(ours.spec.listeners)
            ),
            trust=verified_context(str(ours.sandbox.ca_file)),
            now=lambda: datetime.now(UTC),
            account=Login(account, ours.passwords[account]),
            stranger=Stranger(
                address=STRANGER,
                smtp=f"{STRANGERS_ADDRESS}:{strangers.ports['submission']}",
                imap=f"{STRANGERS_ADDRESS}:{strangers.ports['imap']}",
                user=STRANGER,
            ),
            stranger_password=self.stranger.passwords[STRANGER],
            stranger_trust=_unnamed(strangers.ca_file),
            state_dir=ours.sandbox.folder / "state",
        )


def _localize(spec: MailSpec) -> MailSpec:
    """The site's wish with its first host on loopback, and with what needs the real world left out."""
    name, host = next(iter(spec.hosts.items()))
    here = host.model_copy(update={"ipv4": OUR_ADDRESS, "ipv6": None})
    verification = spec.verification.model_copy(update={"stranger": None, "ca_file": None})
    return MailSpec.model_validate(
        {
            **spec.model_dump(mode="python", exclude={"hosts", "tls", "dns", "verification"}),
            "hosts": {name: here.model_dump()},
            "tls": {"source": "self-signed"},
            "verification": verification.model_dump(),
        }
    )


def _stranger_spec() -> MailSpec:
    return MailSpec.model_validate(
        {
            "domains": {STRANGER_DOMAIN: {}},
            "hosts": {f"mx.{STRANGER_DOMAIN}": {"ipv4": STRANGERS_ADDRESS}},
            "accounts": {STRANGER: {}},
            "listeners": {"imap": True, "submission": True},
            "tls": {"source": "self-signed"},
        }
    )


def _make_house(spec: MailSpec, address: str, folder: Path, port_base: int, *, workers: int) -> House:
    private: dict[tuple[str, str], bytes] = {}
    public: dict[str, tuple[PublicKey, ...]] = {}
    for domain, rule in spec.domains.items():
        found = []
        for selector, make in dkim_selectors(rule.dkim_epoch):
            private[selector, domain] = pem = make()
            key = parse_private_key(pem)
            found.append(PublicKey(selector, algorithm_of(key), serialize_public_key(key.public_key())))
        public[domain] = tuple(found)
    host = next(iter(spec.hosts))
    settings = derive_settings(spec, host, public)
    passwords = {account: make_password() for account in settings.accounts}
    parts = (*[Part.WORKER] * workers, Part.QUEUE) if workers else (Part.ALL,)
    folder.mkdir(parents=True, exist_ok=True)
    sandbox = Sandbox(folder, Plan(settings, passwords, private, address, port_base, parts))
    sandbox.open()
    return House(spec, host, address, sandbox, render(spec, public), passwords)


def _answers(houses: Sequence[House]) -> dict[tuple[str, str], list[str]]:
    answers: dict[tuple[str, str], list[str]] = {}
    for house in houses:
        for record in house.records:
            key = (record.owner.to_text(omit_final_dot=True).lower(), record.rdataset.rdtype.name)
            answers.setdefault(key, []).extend(rdata.to_text() for rdata in record.rdataset)
    return answers


def _unnamed(ca_file: Path) -> ssl.SSLContext:
    """Vouches for a host that is called by its address: its certificate, whatever name is on it."""
    context = verified_context(str(ca_file))
    context.check_hostname = False
    return context
