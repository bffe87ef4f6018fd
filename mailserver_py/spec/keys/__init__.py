"""The site's keys: born at the operator's, kept beside the spec, encrypted with age; public halves in clear.

Invariants:
- One secret, one file; making one changes no other.
- What exists is never replaced, except by an explicit import or re-encryption.
- A private key without its public half, or the reverse, is mended or refused, never guessed.
- Reading a secret is lazy: whoever needs the DNS records needs no identity.

To add a secret: a row in `needed.needed_secrets`, and its reader's name for it.
"""

from ..identity import Identities, create_identity, identity_paths, load_identities
from .make import Made, import_secret, make_keys, own_recipient, rekey
from .needed import dkim_secret, password_secret, tls_key_secret
from .site import SiteKeys, secret_path

__all__ = [
    "Identities",
    "Made",
    "SiteKeys",
    "create_identity",
    "dkim_secret",
    "identity_paths",
    "import_secret",
    "load_identities",
    "make_keys",
    "own_recipient",
    "password_secret",
    "rekey",
    "secret_path",
    "tls_key_secret",
]
