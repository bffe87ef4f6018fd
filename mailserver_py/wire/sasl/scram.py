"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS: RFC 5802 and RFC 7677, the server's side.

    C: n,,n=user,r=…       asks for the user's keys (`KeysWanted`)
    S: r=…,s=…,i=…
    C: c=…,r=…,p=…         the proof
    S: v=…                 when it is right; the client answers with nothing, and the exchange ends

-PLUS ties the login to the TLS connection, so that nobody in between can pass it on. A client that could do so
and was kept from seeing the offer says `y`, and is refused (RFC 5802 §6). What is refused for any reason but its
syntax looks like a wrong password; `e=` is never sent, which RFC 5802 §5.1 leaves to us.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re

from .keys import Keys
from .saslprep import ProhibitedError, prepare
from .shape import Challenge, KeysWanted, Proof, Refusal, Refused, Step, Terms

NAME = "SCRAM-SHA-256"
PLUS_NAME = "SCRAM-SHA-256-PLUS"

NONCE_LIMIT_COUNT = 256
"""Letters of a client's nonce: many times what chance needs, and our answer still fits a reply of SMTP."""

_MALFORMED = Refused(Refusal.MALFORMED)

_FIRST = re.compile(
    r"(?P<header>(?:p=(?P<binding>[A-Za-z0-9.-]+)|(?P<flag>[ny])),(?:a=(?P<acting_as>[^,\0]+))?,)"
    r"(?P<bare>n=(?P<user>[^,\0]+),r=(?P<nonce>[!-+\--~]+)(?:,(?!m=)[A-Za-z]=[^,\0]+)*)"
)
"""RFC 5802 §7 client-first-message. A mandatory extension (`m=`) does not match: there is none that we know."""

_FINAL = re.compile(
    r"(?P<unproven>c=(?P<bound>[A-Za-z0-9+/=]+),r=(?P<nonce>[!-+\--~]+)(?:,(?!m=)[A-Za-z]=[^,\0]+)*)"
    r",p=(?P<proof>[A-Za-z0-9+/=]+)"
)
"""client-final-message."""

_ESCAPE = re.compile(r"=(?!2C|3D)")


class Scram:
    """One exchange."""

    def __init__(self, terms: Terms, *, plus: bool) -> None:
        self._terms = terms
        self._plus = plus
        self._first: re.Match[str] | None = None
        self._user = self._acting_as = ""
        self._nonce = ""
        self._server_first = ""
        self._keys: Keys | None = None
        self._proven = False

    @property
    def _name(self) -> str:
        return PLUS_NAME if self._plus else NAME

    def step(self, data: bytes | None) -> Step:
        """The client's next message."""
        if data is None:
            return Challenge()
        if self._proven:
            return _MALFORMED if data else self._end()
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return _MALFORMED
        return self._read_first(text) if self._first is None else self._read_final(text)

    def give(self, keys: Keys, nonce: str) -> Step:
        """The server's first message; `nonce` is ours, fresh, printable, without a comma."""
        assert self._first is not None
        self._keys = keys
        self._nonce = self._first["nonce"] + nonce
        salt = base64.b64encode(keys.salt).decode()
        self._server_first = f"r={self._nonce},s={salt},i={keys.iteration_count}"
        return Challenge(self._server_first.encode())

    def _read_first(self, text: str) -> Step:
        first = _FIRST.fullmatch(text)
        if first is None:
            return _MALFORMED
        user, acting_as = _decode_name(first["user"]), _decode_name(first["acting_as"] or "")
        if not user or acting_as is None or len(first["nonce"]) > NONCE_LIMIT_COUNT:
            return _MALFORMED
        if (first["binding"] is not None) != self._plus:
            return _MALFORMED
        self._first, self._user = first, user
        self._acting_as = "" if acting_as == user else acting_as
        if first["flag"] == "y" and self._terms.binds:
            return self._end("the client did not see our offer to bind the channel")
        if self._plus and first["binding"] not in self._terms.bindings:
            return self._end(f"the channel cannot be bound by {first['binding'][:40]}")
        return KeysWanted(user)

    def _read_final(self, text: str) -> Step:
        first, keys, final = self._first, self._keys, _FINAL.fullmatch(text)
        assert first is not None
        assert keys is not None
        if final is None:
            return _MALFORMED
        bound, proof = _decode_base64(final["bound"]), _decode_base64(final["proof"])
        if bound is None or proof is None or len(proof) != len(keys.stored_key):
            return _MALFORMED
        said = f"{first['bare']},{self._server_first},{final['unproven']}".encode()
        signature = hmac.digest(keys.stored_key, said, "sha256")
        client_key = bytes(one ^ other for one, other in zip(proof, signature, strict=True))
        right = hmac.compare_digest(hashlib.sha256(client_key).digest(), keys.stored_key)
        binding = self._terms.bindings.get(first["binding"] or "", b"")
        if not hmac.compare_digest(bound, first["header"].encode() + binding):
            return self._end("another channel was bound")
        if not hmac.compare_digest(final["nonce"], self._nonce):
            return self._end("another exchange was answered")
        if not right:
            return self._end("the proof is wrong")
        self._proven = True
        return Challenge(b"v=" + base64.b64encode(hmac.digest(keys.server_key, said, "sha256")))

    def _end(self, failure: str = "") -> Proof:
        return Proof(self._name, self._user, failure, self._acting_as)


def _decode_name(text: str) -> str | None:
    """A saslname, prepared (RFC 5802 §5.1); None when it may not be."""
    if _ESCAPE.search(text):
        return None
    try:
        return prepare(text.replace("=2C", ",").replace("=3D", "="))
    except ProhibitedError:
        return None


def _decode_base64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
