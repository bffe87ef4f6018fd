"""The stranger: somebody else's mail server, stock Postfix and Dovecot of Debian 12, with the domain peer.test.

It has what a well-kept server has (MX, SPF, DKIM, DMARC, reverse name, certificate), signs what it sends, and writes
what it thinks of our SPF and DKIM into the letters it takes (`Received-SPF`, `Authentication-Results`). Its users carol
and dave submit on port 587 and read by IMAP on 993 (143 with STARTTLS). Passwords are known: the lab is closed.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from .certificates import KeyPair, issue
from .host import Host, HostPlan
from .images import STRANGER_IMAGE
from .names import RESOLVER, STRANGER, ipv6_of
from .nameserver import Zone
from .texts import render

NAME = "stranger"
DOMAIN = "peer.test"
MX = f"mx.{DOMAIN}"
SELECTOR = "lab"
PASSWORDS = {"carol": "carol-of-peer", "dave": "dave-of-peer"}

# A TXT record is made of strings of at most 255 octets (RFC 1035 §3.3.14).
STRING_OCTETS = 255


def plan() -> HostPlan:
    """The host of the stranger."""
    return HostPlan(NAME, STRANGER, STRANGER_IMAGE)


@dataclass(frozen=True)
class Stranger:
    """The host of peer.test."""

    host: Host

    def furnish(self, vouched: KeyPair) -> Zone:
        """Before it boots: configuration, keys, users. Returns the zone it wants."""
        host = self.host
        host.write("etc/postfix/main.cf", render("stranger/main.cf", domain=DOMAIN))
        services = host.root / "etc/postfix/master.cf"
        host.write("etc/postfix/master.cf", services.read_text() + render("stranger/master.cf"))
        host.write("etc/mailname", f"{DOMAIN}\n")
        host.write("etc/dovecot/local.conf", render("stranger/dovecot.conf"))
        host.write("etc/postfix-policyd-spf-python/policyd-spf.conf", render("stranger/policyd-spf.conf"))
        pair = issue(vouched, [MX, DOMAIN])
        host.write("etc/ssl/certs/mx.pem", pair.certificate + vouched.certificate)
        host.write("etc/ssl/private/mx.key", pair.key, mode=0o600)
        host.write("etc/opendkim.conf", render("stranger/opendkim.conf", domain=DOMAIN, selector=SELECTOR))
        resolver = render("stranger/opendkim-resolver.conf", resolver=RESOLVER)
        host.write("etc/opendkim-resolver.conf", resolver)
        key = _signing_key(host.names.state / "stranger.pem")
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        host.write(f"etc/dkimkeys/{SELECTOR}.private", secret.decode(), mode=0o600)
        # The first boot reads these: users, the owner of the key, aliases' database.
        script = [f"chown opendkim: /etc/dkimkeys/{SELECTOR}.private", "newaliases"]
        for user, password in PASSWORDS.items():
            script.append(f"useradd --create-home --shell /usr/sbin/nologin {user}")
            script.append(f"echo {user}:{password} | chpasswd")
        host.in_chroot("sh", "-ec", "\n".join(script))
        return Zone(DOMAIN, _records(key.public_key()))

    def wait(self) -> None:
        """Until its servers listen."""
        for port in (25, 587, 993):
            self.host.wait_listening(port)


def _signing_key(file: Path) -> rsa.RSAPrivateKey:
    """Its DKIM key: one for the life of the lab, so that a stranger made anew still fits its zone."""
    if not file.exists():
        made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        file.touch(mode=0o600)
        file.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    key = load_pem_private_key(file.read_bytes(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def _records(key: rsa.RSAPublicKey) -> tuple[str, ...]:
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    dkim = f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"
    strings = [dkim[at : at + STRING_OCTETS] for at in range(0, len(dkim), STRING_OCTETS)]
    return (
        "@ MX 10 mx",
        f"mx A {STRANGER}",
        f"mx AAAA {ipv6_of(STRANGER)}",
        '@ TXT "v=spf1 mx -all"',
        'mx TXT "v=spf1 a -all"',
        f"{SELECTOR}._domainkey TXT " + " ".join(f'"{string}"' for string in strings),
        f'_dmarc TXT "v=DMARC1; p=reject; rua=mailto:postmaster@{DOMAIN}"',
    )
