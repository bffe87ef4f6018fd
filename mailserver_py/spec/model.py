"""The spec's models: what an operator can write, each field with its default and the reason for it.

A model says what a field means and what values it can have; rules between fields are in `spec.rules`, file,
line and cure of an error in `spec.load`. Instances are frozen. Nothing secret is ever in here: secrets stand
beside the spec, encrypted (`spec.keys`).
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from .types import DomainName, Duration, MailAddress, Size

Epoch = Annotated[str, BeforeValidator(lambda value: str(value) if type(value) is int else value)]
"""`dkim_epoch: 2` is a number to YAML and a name to us."""


class Model(BaseModel):
    """Frozen, and no unknown keys: a misspelt wish is an error, not silence."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Editors may leave out the value of a key whose value may be empty."""
        found = handler(core_schema)
        schema = handler.resolve_ref_schema(found)
        if "required" not in schema:
            schema["type"] = ["object", "null"]
        return found

    @model_validator(mode="before")
    @classmethod
    def _nothing_means_defaults(cls, value: object) -> object:
        """`alice@example.org:` with nothing behind it is YAML's null, and means `{}`."""
        return {} if value is None else value


class Dmarc(Model):
    """What others are told about forged mail (RFC 9989)."""

    policy: Literal["none", "quarantine", "reject"] = "reject"
    """What receivers do with mail that pretends to be from the domain. `reject`: every letter of ours is
    signed."""
    reports: MailAddress | None = None
    """Where aggregate reports go; default: `postmaster@` the domain."""


class Domain(Model):
    """One mail domain. `{}` is enough."""

    catch_all: MailAddress | None = None
    """Local address that gets mail for unknown recipients; default: such mail is refused."""
    dmarc: Dmarc = Dmarc()
    """What receivers do with forged mail, and where they report it."""
    dkim_epoch: Epoch = Field(default="1", pattern=r"^[a-z0-9]{1,16}$")
    """Names the pair of DKIM selectors (`r<epoch>`, `e<epoch>`); a new one starts a key roll-over."""


class Ssh(Model):
    """How the operator's machine reaches a host."""

    address: str | None = None
    """Where SSH answers; default: the host's IPv4, else IPv6 address."""
    port: int = Field(default=22, ge=1, le=65535)
    """Where the SSH server listens."""
    user: str = "root"
    """Logs in, and becomes root by sudo when it is not root."""
    key: str | None = None
    """Private key file, relative to the site's folder; default: the agent's keys and ~/.ssh."""
    host_key: str | None = None
    """The host's public key (`ssh-ed25519 AAAA…`); default: trusted at first sight, then pinned in the site's
    folder."""


class Host(Model):
    """One machine, named by its public host name, which is also its MX name, HELO name and certificate
    name."""

    ipv4: IPv4Address | None = None
    """The public IPv4 address."""
    ipv6: IPv6Address | None = None
    """The public IPv6 address."""
    network: Literal["public", "private"] = "public"
    """`private` says that the addresses are meant to be private ones: a lab, a rehearsal, an intranet. On
    `public` a private, loopback or documentation address is an error."""
    roles: tuple[Literal["mail"], ...] = ("mail",)
    """What the host does; there is one role so far."""
    ssh: Ssh = Ssh()
    """How we get in."""
    os_user: str = Field(default="mailserver", pattern=r"^[a-z_][a-z0-9_-]{0,30}$")
    """The unprivileged system user that the server runs as."""
    workers: int = Field(default=0, ge=0, le=64)
    """Worker processes; 0: one per core."""


class Account(Model):
    """One person's (or programme's) mailbox, named by its primary address. `{}` is enough."""

    display_name: str = ""
    """The person's name, for clients that ask for it."""
    aliases: tuple[MailAddress, ...] = ()
    """Further addresses that reach this account, and that it may send as."""
    quota: Size | None = None
    """Space; default: `limits.account_quota`."""
    enabled: bool = True
    """False: no login; mail is refused."""
    hold: bool = False
    """Legal hold: nothing of the account is removed for good, what is expunged can be taken back for ever, and the
    account cannot be erased. Outlives the account's line here: only `hold: false` and a deploy end it."""


class Group(Model):
    """An address that reaches several, named by itself."""

    members: tuple[MailAddress, ...] = Field(min_length=1)
    """Local addresses or outside ones."""
    may_send: bool = False
    """Whether members that have an account here may send as the group."""


class Acme(Model):
    """Certificates from a certificate authority that speaks ACME (RFC 8555)."""

    directory: str = "https://acme-v02.api.letsencrypt.org/directory"
    """The certificate authority's ACME directory."""
    contact: MailAddress | None = None
    """Who is warned before a certificate runs out; default: `postmaster@` the first domain."""
    ca_file: str | None = None
    """Certificates that vouch for the directory itself, on the host; default: the system's. For private
    authorities."""
    agree_to_terms: bool = True
    """Whether the operator agrees to the authority's terms; without, there is no certificate."""


class Tls(Model):
    """Where the hosts' certificates come from."""

    source: Literal["acme", "files", "self-signed"] = "acme"
    """`acme`: made and renewed by itself; `files`: yours; `self-signed`: for tries, trusted by nobody."""
    certificate: str | None = None
    """`files`: the PEM chain, relative to the site's folder. Its key is the secret `tls-key.age`."""
    acme: Acme = Acme()
    """For `source: acme`."""


class Listeners(Model):
    """Which doors are open. Ports are the standard ones; a closed door is closed in the firewall too."""

    smtp: bool = True
    """25, STARTTLS: mail from the world."""
    submissions: bool = True
    """465, TLS: mail from our users (RFC 8314)."""
    submission: bool = True
    """587, STARTTLS: the same for older clients."""
    imaps: bool = True
    """993, TLS."""
    imap: bool = False
    """143, STARTTLS. Closed by default: RFC 8314 prefers TLS from the first byte."""
    pop3s: bool = True
    """995, TLS."""
    pop3: bool = False
    """110, STLS."""


class Limits(Model):
    """What one client or one letter can take."""

    message_size: Size = Size(26_214_400)
    """Largest letter, 25 MiB: what the large providers accept."""
    account_quota: Size = Size(5_368_709_120)
    """Space of an account that names none, 5 GiB. What was expunged and can still be taken back does not count; it
    takes at most as much again."""
    delivery_grace_percent: int = Field(default=10, ge=0, le=100)
    """What a delivery may go beyond the quota, in percent of it, so that mail is not refused for a last few octets.
    Clients that file letters away may not."""
    account_messages: int = Field(default=1_000_000, ge=1_000, le=10_000_000)
    """Messages of an account. Far above what people have; a letter that is copied round in circles stops here."""
    account_mailboxes: int = Field(default=10_000, ge=100, le=10_000)
    """Mailboxes of an account; a runaway script stops here."""
    recipients: int = Field(default=100, ge=100, le=10_000)
    """Recipients of one letter; RFC 5321 §4.5.3.1.8 asks for at least 100."""
    connections: int = Field(default=10_000, ge=10, le=100_000)
    """Open connections per worker."""
    connections_per_address: int = Field(default=50, ge=5, le=10_000)
    """Open connections of one client address per worker."""


class Retention(Model):
    """How long things are kept. The store's removal jobs read these."""

    junk: Duration = Duration(30 * 86_400)
    """After so long, junk is removed."""
    trash: Duration = Duration(30 * 86_400)
    """After so long, what lies in the trash is removed."""
    expunged: Duration | None = Duration(14 * 86_400)
    """How long removed mail, also from the trash, can be taken back (`mailserver undelete`); `null`: it is gone at
    once. Two weeks: people notice on their next working day, or after a holiday."""
    logs: Duration = Duration(14 * 86_400)
    """What the mail server says, in a journal of its own; other services' logs on the host are not touched."""


class QueueRules(Model):
    """How long outgoing mail is tried."""

    retry: tuple[Duration, ...] = tuple(Duration(s) for s in (300, 900, 3_600, 14_400))
    """Waits between attempts; the last repeats."""
    give_up: Duration = Duration(5 * 86_400)
    """Then a bounce; RFC 5321 §4.5.4.1 asks for 4 to 5 days."""


class Rfc2136(Model):
    """A DNS server that takes updates, and the TSIG key it knows us by (RFC 2136, RFC 8945)."""

    server: str
    """The primary's address, `192.0.2.53` or `192.0.2.53:53`."""
    key_name: str
    """Name of the TSIG key; its secret is `tsig.age`."""
    algorithm: Literal["hmac-sha256", "hmac-sha384", "hmac-sha512"] = "hmac-sha256"
    """The key's algorithm, as in the server's configuration."""


class Dns(Model):
    """How the records get into the DNS."""

    publish: Literal["none", "rfc2136"] = "none"
    """`rfc2136`: `mailserver publish` sends updates; `none`: it shows what to put in by hand."""
    rfc2136: Rfc2136 | None = None
    """For `publish: rfc2136`."""
    ttl: Duration = Duration(3_600)
    """How long resolvers may keep our records."""
    resolver: str | None = None
    """The resolver that the host and the verification ask; default: the system's."""


class Stranger(Model):
    """A mailbox elsewhere, for the round trip to the world and back. Its password is `stranger.age`."""

    address: MailAddress
    """The mailbox there."""
    smtp: str
    """`host:port`, STARTTLS or (465) TLS, with login."""
    imap: str
    """`host:port`, STARTTLS or (993) TLS."""
    user: str
    """The login name there."""
    ca_file: str | None = None
    """Certificates to trust for this stranger, relative to the site's folder; `none` accepts any."""


class Verification(Model):
    """How the site checks itself."""

    every: Duration | None = Duration(3_600)
    """How often the host checks itself; `null`: never."""
    account: MailAddress | None = None
    """An account of its own for test letters, out of the users' sight; default: `mailserver-verify@` the
    first domain."""
    skip: tuple[str, ...] = ()
    """Checks not to run, by name."""
    stranger: Stranger | None = None
    """A mailbox at another provider; without one, the round trip stays inside the site."""
    ca_file: str | None = None
    """Certificates that vouch for ours, relative to the site's folder; default: the system's. For private
    authorities."""


class Secrets(Model):
    """Who can read what stands encrypted beside the spec."""

    recipients: tuple[str, ...] = ()
    """Who can read the secrets: age recipients (`age1…`) or `ssh-ed25519 …` keys of the operators; default:
    the operator who made them."""
    recovery: str | None = None
    """One more recipient, whose identity is kept offline."""
    folder: str = "."
    """Where `secrets/` and `public/` stand, relative to the site's folder."""


class MailSpec(Model):
    """The whole site."""

    domains: dict[DomainName, Domain] = Field(min_length=1)
    """The mail domains; `example.org:` alone is enough."""
    hosts: dict[DomainName, Host] = Field(min_length=1)
    """The machines, by public host name."""
    accounts: dict[MailAddress, Account] = Field(min_length=1)
    """The mailboxes, by primary address."""
    groups: dict[MailAddress, Group] = {}
    """Addresses that reach several."""
    subaddress_separator: str = Field(default="+", pattern=r"^[+\-=._]?$")
    """`alice+shop@` reaches `alice@`; empty: no subaddresses (RFC 5233)."""
    postmaster: MailAddress | None = None
    """Who reads postmaster@ and abuse@ of every domain (RFC 2142); default: the first account."""
    listeners: Listeners = Listeners()
    """Which doors are open."""
    tls: Tls = Tls()
    """Where certificates come from."""
    limits: Limits = Limits()
    """What one client or one letter can take."""
    retention: Retention = Retention()
    """How long things are kept."""
    queue: QueueRules = QueueRules()
    """How long outgoing mail is tried."""
    dns: Dns = Dns()
    """How the records get into the DNS."""
    verification: Verification = Verification()
    """How the site checks itself."""
    secrets: Secrets = Secrets()
    """Who can read the site's secrets."""
