"""SCRAM: RFC 7677's example, a client written from RFC 5802, and everything a server must refuse."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.wire.sasl import (
    Challenge,
    KeysWanted,
    Proof,
    Refusal,
    Refused,
    SaslServer,
    Step,
    Terms,
    list_mechanisms,
)
from mailserver_py.wire.sasl.keys import Keys, derive_keys, parse_keys
from mailserver_py.wire.sasl.saslprep import ProhibitedError, prepare

SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
PENCIL = derive_keys("pencil", SALT, 4096)
OURS = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
TLS12 = Terms(scram=True, bindings={"tls-server-end-point": b"certificate", "tls-unique": b"finished"})
TLS13 = Terms(scram=True, bindings={"tls-server-end-point": b"certificate"})


def b64(data: bytes | str) -> bytes:
    return base64.b64encode(data.encode() if isinstance(data, str) else data)


@dataclass
class Client:
    """What RFC 5802 §3 tells a client to compute."""

    password: str = "pencil"
    header: str = "n,,"
    user: str = "user"
    nonce: str = "rOprNGfwEbeRWgbNEkqO"
    extensions: str = ""
    binding: bytes = b""

    @property
    def bare(self) -> str:
        return f"n={self.user},r={self.nonce}{self.extensions}"

    @property
    def first(self) -> bytes:
        return b64(self.header + self.bare)

    def final(self, server_first: bytes, **changed: str) -> bytes:
        server = dict(part.split("=", 1) for part in server_first.decode().split(","))
        salted = hashlib.pbkdf2_hmac(
            "sha256", self.password.encode(), base64.b64decode(server["s"]), int(server["i"])
        )
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        bound = changed.get("c", b64(self.header.encode() + self.binding).decode())
        unproven = f"c={bound},r={changed.get('r', server['r'])}{changed.get('x', '')}"
        said = f"{self.bare},{server_first.decode()},{unproven}".encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), said, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self.expected = b"v=" + b64(hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), said, "sha256"))
        return b64(f"{unproven},p={changed.get('p', b64(proof).decode())}")


def converse(
    client: Client,
    terms: Terms = TLS13,
    mechanism: str = "SCRAM-SHA-256",
    keys: Keys = PENCIL,
    **changed: str,
) -> Step:
    server = SaslServer(terms)
    step = server.start(mechanism, client.first)
    if not isinstance(step, KeysWanted):
        return step
    step = server.give(keys, OURS)
    assert isinstance(step, Challenge)
    step = server.step(client.final(step.data, **changed))
    if not isinstance(step, Challenge):
        return step
    assert step.data == client.expected
    return server.step(b"")


def test_the_example_of_rfc_7677() -> None:
    server = SaslServer()
    assert server.start("SCRAM-SHA-256", b64("n,,n=user,r=rOprNGfwEbeRWgbNEkqO")) == KeysWanted("user")
    nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    first = Challenge(f"r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096".encode())
    assert server.give(PENCIL, OURS) == first
    final = f"c=biws,r={nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    assert server.step(b64(final)) == Challenge(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    assert server.active
    assert server.step(b"") == Proof("SCRAM-SHA-256", "user")
    assert not server.active


def test_without_an_initial_response_the_client_is_asked_for_it() -> None:
    server = SaslServer()
    assert server.start("SCRAM-SHA-256", None) == Challenge()
    assert server.step(Client().first) == KeysWanted("user")


def test_a_wrong_password_proves_nothing() -> None:
    assert converse(Client("pencil ")) == Proof("SCRAM-SHA-256", "user", "the proof is wrong")


@pytest.mark.parametrize(
    ("said", "meant"),
    [("a=2Cb=3Dc", "a,b=c"), ("I\u00adX", "IX"), ("\u2168", "IX"), ("=3D2C", "=2C")],
)
def test_names_are_decoded_and_prepared_for_the_lookup_and_hashed_as_they_came(said: str, meant: str) -> None:
    assert converse(Client(user=said)) == Proof("SCRAM-SHA-256", meant)


def test_another_identity_to_act_under_is_told() -> None:
    assert converse(Client(header="n,a=bob,")) == Proof("SCRAM-SHA-256", "user", acting_as="bob")
    assert converse(Client(header="n,a=user,")) == Proof("SCRAM-SHA-256", "user")


def test_unknown_extensions_are_ignored() -> None:
    client = Client(extensions=",x=1,y=2", nonce="m=m=")
    assert converse(client, x=",z=3") == Proof("SCRAM-SHA-256", "user")


@pytest.mark.parametrize(
    "first",
    [
        "",
        "n,,",
        "n,,n=user",
        "n,,n=,r=x",
        "n,,r=x,n=user",
        "q,,n=user,r=x",
        "n,n=user,r=x",
        "n,a=,n=user,r=x",
        "n,,m=must,n=user,r=x",
        "n,,n=user,r=x,m=must",
        "n,,n=us=er,r=x",
        "n,,n=user,r=",
        "n,,n=user,r=a b",
        "n,,n=user,r=\u00e9",
        "n,,n=us\0er,r=x",
        "n,,n=\u00ad,r=x",
        "n,,n=\u0007,r=x",
        "n,,n=user,r=x,",
        "n,,n=user,r=x,long=1",
        "p=tls-unique,,n=user,r=x",
    ],
)
def test_what_is_no_first_message_is_refused(first: str) -> None:
    server = SaslServer(TLS12)
    assert server.start("SCRAM-SHA-256", b64(first)) == Refused(Refusal.MALFORMED)
    assert not server.active


@pytest.mark.parametrize(
    "final",
    [
        b"",
        b"c=biws",
        b"c=biws,r=x",
        b"c=biws,r=x,p=",
        b"c=biws,r=x,p=YQ==",
        b"c=biws,r=x,p=====",
        b"c=bi,r=x,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        b"c=biws,r=x,m=y,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        b"\xff",
    ],
)
def test_what_is_no_final_message_is_refused(final: bytes) -> None:
    server = SaslServer()
    server.start("SCRAM-SHA-256", Client().first)
    server.give(PENCIL, OURS)
    assert server.step(b64(final)) == Refused(Refusal.MALFORMED)


def test_words_after_the_servers_signature_are_refused() -> None:
    server, client = SaslServer(), Client()
    server.start("SCRAM-SHA-256", client.first)
    step = server.give(PENCIL, OURS)
    assert isinstance(step, Challenge)
    server.step(client.final(step.data))
    assert server.step(b64("more")) == Refused(Refusal.MALFORMED)


@pytest.mark.parametrize("nonce", ["rOprNGfwEbeRWgbNEkqO", OURS, "rOprNGfwEbeRWgbNEkqO" + OURS + "x"])
def test_an_answer_to_another_exchange_is_refused(nonce: str) -> None:
    assert converse(Client(), r=nonce) == Proof("SCRAM-SHA-256", "user", "another exchange was answered")


# ---- channel binding


def test_plus_is_announced_where_clients_find_the_type_that_they_take_unasked() -> None:
    assert list_mechanisms(TLS12) == ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN")
    assert list_mechanisms(TLS13) == ("SCRAM-SHA-256", "PLAIN", "LOGIN")
    assert list_mechanisms(Terms(bindings=TLS12.bindings)) == ("PLAIN", "LOGIN")


@pytest.mark.parametrize("kind", ["tls-unique", "tls-server-end-point"])
def test_a_bound_channel_logs_in(kind: str) -> None:
    client = Client(header=f"p={kind},,", binding=TLS12.bindings[kind])
    assert converse(client, TLS12, "SCRAM-SHA-256-PLUS") == Proof("SCRAM-SHA-256-PLUS", "user")


@pytest.mark.parametrize("binding", [b"", b"another", b"finishe"])
def test_another_channel_is_refused(binding: bytes) -> None:
    client = Client(header="p=tls-unique,,", binding=binding)
    step = converse(client, TLS12, "SCRAM-SHA-256-PLUS")
    assert step == Proof("SCRAM-SHA-256-PLUS", "user", "another channel was bound")


def test_the_header_is_bound_without_a_channel_too() -> None:
    step = converse(Client(), c=b64("y,,").decode())
    assert step == Proof("SCRAM-SHA-256", "user", "another channel was bound")


def test_a_type_that_we_have_not_is_refused() -> None:
    step = converse(Client(header="p=tls-exporter,,"), TLS12, "SCRAM-SHA-256-PLUS")
    assert step == Proof("SCRAM-SHA-256-PLUS", "user", "the channel cannot be bound by tls-exporter")


def test_a_client_that_was_kept_from_seeing_the_offer_is_refused() -> None:
    step = converse(Client(header="y,,"), TLS12)
    assert isinstance(step, Proof)
    assert not step.proven
    assert converse(Client(header="y,,"), TLS13) == Proof("SCRAM-SHA-256", "user")


@pytest.mark.parametrize("header", ["n,,", "y,,"])
def test_plus_without_a_binding_is_refused(header: str) -> None:
    assert converse(Client(header=header), TLS12, "SCRAM-SHA-256-PLUS") == Refused(Refusal.MALFORMED)


def test_without_tls_there_is_nothing_to_bind() -> None:
    step = SaslServer().start("SCRAM-SHA-256-PLUS", None)
    assert step == Refused(Refusal.UNKNOWN_MECHANISM)


@given(st.sampled_from(["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"]), st.lists(st.binary(max_size=40), max_size=3))
def test_no_octets_raise(mechanism: str, lines: list[bytes]) -> None:
    server = SaslServer(TLS12)
    step = server.start(mechanism, b64(f"{'p=tls-unique' if 'PLUS' in mechanism else 'n'},,n=u,r=x"))
    assert isinstance(step, KeysWanted)
    step = server.give(PENCIL, OURS)
    for line in lines:
        if not isinstance(step, Challenge):
            break
        step = server.step(b64(line))
    assert not isinstance(step, Proof) or not step.proven


# ---- keys


@given(st.binary(min_size=1, max_size=32), st.integers(1, 10_000_000), st.binary(min_size=64, max_size=64))
def test_keys_are_read_as_they_were_written(salt: bytes, count: int, both: bytes) -> None:
    keys = Keys(salt, count, both[:32], both[32:])
    assert parse_keys(keys.serialize()) == keys


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SCRAM-SHA-1$4096:YQ==$YQ==:YQ==",
        "SCRAM-SHA-256$4096:YQ==$YQ==:YQ==",
        PENCIL.serialize().replace("4096", "0"),
        PENCIL.serialize().replace("4096", "99999999"),
        PENCIL.serialize() + "\n",
        PENCIL.serialize()[:-1],
    ],
)
def test_what_are_no_keys_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no SCRAM-SHA-256 keys"):
        parse_keys(text)


def test_no_key_is_in_a_repr() -> None:
    assert repr(PENCIL.stored_key) not in repr(PENCIL)
    assert "certificate" not in repr(TLS12)


# ---- SASLprep


@pytest.mark.parametrize(
    ("text", "expected"),
    [("I\u00adX", "IX"), ("user", "user"), ("USER", "USER"), ("\u00aa", "a"), ("\u2168", "IX"), ("", "")],
)
def test_the_examples_of_rfc_4013(text: str, expected: str) -> None:
    assert prepare(text) == expected


@pytest.mark.parametrize("text", ["\u0007", "\u0627\u0031", "a\u2028", "\ue000", "\U000e0001"])
def test_what_rfc_4013_prohibits(text: str) -> None:
    with pytest.raises(ProhibitedError):
        prepare(text)


def test_only_stored_texts_may_hold_nothing_unassigned() -> None:
    assert prepare("\U0001f511") == "\U0001f511"
    with pytest.raises(ProhibitedError):
        prepare("\U0001f511", stored=True)


def test_spaces_are_ascii_and_accents_composed() -> None:
    assert prepare("e\u0301\u00a0x") == "\u00e9 x"
    assert derive_keys("e\u0301", SALT, 4096) == derive_keys("\u00e9", SALT, 4096) != PENCIL
