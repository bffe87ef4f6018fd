"""The host's slice for verifying itself."""

from __future__ import annotations

from mailserver_py.spec.model import MailSpec
from mailserver_py.spec.settings import PublicKey
from mailserver_py.spec.verification import VerificationSlice, derive_verification

SPEC = MailSpec.model_validate(
    {
        "domains": {"example.org": {}},
        "hosts": {"mx1.example.org": {"ipv4": "192.0.2.10"}},
        "accounts": {"alice@example.org": {"quota": "1 GiB"}, "bob@example.org": {}},
        "groups": {"team@example.org": {"members": ["alice@example.org"]}},
    }
)
KEYS = {"example.org": (PublicKey("r1", "rsa-sha256", b"PEM"),)}


def test_the_slice_reads_back_as_the_same_value() -> None:
    wish = derive_verification("example", SPEC, KEYS)
    assert VerificationSlice.model_validate_json(wish.model_dump_json()) == wish
    assert wish.public_keys() == KEYS


def test_no_person_is_in_the_slice() -> None:
    text = derive_verification("example", SPEC, KEYS).model_dump_json()
    assert "alice" not in text
    assert "team" not in text
