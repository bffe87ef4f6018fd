"""SASL exchanges, the server's side."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.wire.sasl import (
    MECHANISMS,
    Challenge,
    Credentials,
    Refusal,
    Refused,
    SaslServer,
    plain_response,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)


def b64(data: bytes) -> bytes:
    return base64.b64encode(data)


@given(TEXT, TEXT, st.one_of(st.just(""), TEXT))
def test_what_the_client_says_by_plain_arrives(user: str, password: str, acting_as: str) -> None:
    step = SaslServer().start("plain", b64(plain_response(user, password, acting_as)))
    assert step == Credentials("PLAIN", user, password, "" if acting_as == user else acting_as)


def test_plain_without_an_initial_response_gets_an_empty_challenge() -> None:
    server = SaslServer()
    assert server.start("PLAIN", None) == Challenge(b"")
    assert server.active
    assert server.step(b64(b"\0alice\0secret")) == Credentials("PLAIN", "alice", "secret")
    assert not server.active


def test_login_asks_for_name_and_password() -> None:
    server = SaslServer()
    step = server.start("LOGIN", None)
    assert isinstance(step, Challenge)
    assert step.line == b"VXNlciBOYW1lAA=="
    assert isinstance(server.step(b64(b"alice")), Challenge)
    assert server.step(b64(b"secret")) == Credentials("LOGIN", "alice", "secret")


def test_login_takes_an_initial_response_as_the_name() -> None:
    server = SaslServer()
    assert isinstance(server.start("LOGIN", b64(b"alice")), Challenge)
    assert server.step(b64(b"secret")) == Credentials("LOGIN", "alice", "secret")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"*", Refusal.CANCELLED),
        (b"%%%", Refusal.NOT_BASE64),
        (b"YQ", Refusal.NOT_BASE64),
        (b"", Refusal.MALFORMED),
        (b64(b"alice"), Refusal.MALFORMED),
        (b64(b"\0alice"), Refusal.MALFORMED),
        (b64(b"a\0b\0c\0d"), Refusal.MALFORMED),
        (b64(b"\0alice\0"), Refusal.MALFORMED),
        (b64(b"\0\0secret"), Refusal.MALFORMED),
        (b64(b"\0\xff\0secret"), Refusal.MALFORMED),
    ],
)
def test_what_is_no_plain_message_is_refused_and_ends_the_exchange(line: bytes, reason: Refusal) -> None:
    server = SaslServer()
    server.start("PLAIN", None)
    assert server.step(line) == Refused(reason)
    assert not server.active


def test_an_equal_sign_is_an_empty_initial_response() -> None:
    assert SaslServer().start("PLAIN", b"=") == Refused(Refusal.MALFORMED)


def test_an_unknown_mechanism_is_refused() -> None:
    assert SaslServer().start("CRAM-MD5", None) == Refused(Refusal.UNKNOWN_MECHANISM)


def test_no_secret_is_in_a_repr() -> None:
    assert "secret" not in repr(Credentials("PLAIN", "alice", "secret"))


@given(st.sampled_from(sorted(MECHANISMS)), st.lists(st.binary(max_size=30), max_size=4))
def test_no_octets_raise(mechanism: str, lines: list[bytes]) -> None:
    server = SaslServer()
    step = server.start(mechanism, lines[0] if lines else None)
    for line in lines[1:]:
        if not isinstance(step, Challenge):
            break
        step = server.step(line)


@pytest.mark.parametrize("values", [("", "x", ""), ("x", "", ""), ("a\0b", "x", ""), ("a", "b\0", "")])
def test_a_client_refuses_what_plain_cannot_carry(values: tuple[str, str, str]) -> None:
    with pytest.raises(ValueError, match="must not"):
        plain_response(*values)
