from __future__ import annotations

from dataclasses import replace

import pytest

from mailserver_py.provision.steps import certificate

from ..worlds import NOW_S, SECRETS, make_wish, settled, whats


@pytest.mark.parametrize(
    ("about", "reason"),
    [
        ({}, "none yet"),
        ({"source": "stand-in"}, "stand-in, not acme"),
        ({"directory": "https://other.example/dir"}, "from another authority than the spec's"),
        ({"key": "other"}, "made for another key than the site's"),
        ({"not_after": NOW_S - 1}, "out of date"),
    ],
)
def test_the_job_runs_when_the_certificate_is_not_the_wanted_kind(
    about: dict[str, object], reason: str
) -> None:
    host = settled(make_wish())
    assert list(certificate.changes(make_wish(), host.seen)) == []
    known = {**host.seen.certificate, **about} if about else {}
    assert whats(certificate.changes(make_wish(), replace(host.seen, certificate=known))) == [
        f"certificate: {reason}"
    ]


def test_the_sites_own_chain_is_taken_up_when_it_changes() -> None:
    spec = {"tls": {"source": "files", "certificate": "chain.pem"}}
    host = settled(make_wish(spec=spec, certificate_chain=b"one"))
    assert host.run(make_wish(spec=spec, certificate_chain=b"one")) == []
    changes = certificate.changes(make_wish(spec=spec, certificate_chain=b"two"), host.seen)
    assert whats(changes) == ["certificate: not the site's file"]


def test_the_authority_is_named_in_the_hint_only_when_there_is_one() -> None:
    host = settled(make_wish())
    (acme,) = certificate.changes(make_wish(), replace(host.seen, certificate={}))
    assert "mailserver publish example" in acme.script
    spec = {"tls": {"source": "self-signed"}}
    (own,) = certificate.changes(make_wish(spec=spec, secrets=SECRETS), replace(host.seen, certificate={}))
    assert "publish" not in own.script
