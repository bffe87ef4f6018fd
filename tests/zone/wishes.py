"""A site for the zone's tests, with keys that are fixed: made once, of no value."""

from mailserver_py.spec.model import MailSpec
from mailserver_py.spec.settings import PublicKey
from tests.spec.sites import spec_of

SITE = """\
domains: {example.org: , example.net: {dmarc: {policy: quarantine, reports: dmarc@example.org}}}
hosts: {mx1.example.org: {ipv4: 192.0.2.10, ipv6: '2001:db8::a'}, mx2.example.net: {ipv4: 198.51.100.20}}
accounts: {alice@example.org: {aliases: [dmarc@example.org]}}
"""

RSA = b"""-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAi2OJ8I+uVgUdXs55Jcfj
wRhXS1G+cBqntG0krr3Fy+yePf3TFfVtwsT4fQrP6ZYB+1mZrnaXGIi/qfo+nioI
ROOSkmuaoDaCaGDBIJpL6iBLwz2wYvLQlV1z1V1ocDFnmMQTetU7P7Y8i+wo76+0
un+Nt8vshKgi66L7EpUl/27BH6rh6tQgCws5JZW14B9TQDl+2I+Yd87mEZMAWYbo
m7lAknkZzZsA753aQhhCK9a/ygBRlhZrAmir3URyooE+inbqfUvGEytQl+RjM5oR
kjsQyQAGJX6o7jDIfs4JFzF/RgDpBop8qCq6zQpbN56zAtjoDR2MubdfNs6jl6fa
1QIDAQAB
-----END PUBLIC KEY-----
"""
ED25519 = b"""-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAEoU61eGcB+UglpB8NpkDGtt/O0PUieRaoGltJ4vdrrE=
-----END PUBLIC KEY-----
"""

KEYS = {
    "example.org": (PublicKey("r1", "rsa-sha256", RSA), PublicKey("e1", "ed25519-sha256", ED25519)),
    "example.net": (PublicKey("e1", "ed25519-sha256", ED25519), PublicKey("e0", "ed25519-sha256", ED25519)),
}


def wish(text: str = SITE) -> MailSpec:
    """The spec."""
    return spec_of(text)
