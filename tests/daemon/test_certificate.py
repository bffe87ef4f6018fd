from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from acme import errors, messages
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from mailserver_py.daemon.certificate import (
    Issued,
    Job,
    check_leaf,
    load_about,
    load_credential,
    parse_key,
    parse_leaf,
    self_signed,
)
from mailserver_py.daemon.certificate_authority import TOKEN, Authority, PatientNetwork, _told
from mailserver_py.daemon.log import Log
from mailserver_py.errors import OperatorError, WorldError
from mailserver_py.spec.model import MailSpec
from mailserver_py.spec.settings import HostSettings, derive_settings

NAME = "mx1.example.org"
NOW = datetime(2027, 1, 15, tzinfo=UTC)
DIRECTORY = "https://acme.example/dir"


def _pem(key: Any) -> bytes:
    encoding = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return bytes(key.private_bytes(*encoding))


KEY = _pem(ec.generate_private_key(ec.SECP256R1()))
OTHER_KEY = _pem(ec.generate_private_key(ec.SECP256R1()))


def _settings(source: str = "acme") -> HostSettings:
    tls: dict[str, Any] = {"source": source, "acme": {"directory": DIRECTORY}}
    if source == "files":
        tls["certificate"] = "chain.pem"
    spec = MailSpec.model_validate(
        {
            "domains": {"example.org": {}},
            "hosts": {NAME: {"ipv4": "192.0.2.10"}},
            "accounts": {"alice@example.org": {}},
            "tls": tls,
        }
    )
    return derive_settings(spec, NAME, {})


def _chain(now: datetime = NOW, days: int = 90, name: str = NAME, key: bytes = KEY) -> bytes:
    return self_signed(name, parse_key(key), now, timedelta(days=days))


class Issuer:
    """An authority that a test tells what to do."""

    def __init__(self) -> None:
        self.issued_count = 0
        self.asked_count = 0
        self.now = NOW
        self.renew_at: datetime | None = None
        self.refusal: Exception | None = None

    def obtain(self) -> Issued:
        if self.refusal:
            raise self.refusal
        self.issued_count += 1
        return Issued(_chain(self.now), "acme", DIRECTORY)

    def ask(self, chain: bytes) -> tuple[datetime | None, datetime]:
        self.asked_count += 1
        return self.renew_at, self.now + timedelta(hours=6)


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def job(tmp_path: Path, issuer: Issuer) -> Job:
    return Job(
        settings=_settings(),
        folder=tmp_path / NAME,
        key=KEY,
        log=Log(lambda: NOW, lambda line: None),
        now=NOW,
        obtain=issuer.obtain,
        ask_renewal=issuer.ask,
        chain_file=tmp_path / "fullchain.pem",
    )


def _at(job: Job, issuer: Issuer, days: float) -> Job:
    issuer.now = NOW + timedelta(days=days)
    return replace(job, now=issuer.now)


def test_the_first_run_obtains_one_and_the_second_has_nothing_to_do(job: Job, issuer: Issuer) -> None:
    assert job.run()
    assert not job.run()
    assert issuer.issued_count == 1
    assert (job.folder / "current/key.pem").read_bytes() == KEY
    assert (job.folder / "current/key.pem").stat().st_mode & 0o777 == 0o600


def test_renewal_is_due_when_a_third_of_the_life_is_left(job: Job, issuer: Issuer) -> None:
    job.run()
    assert not _at(job, issuer, 59.9).run()
    assert _at(job, issuer, 60.1).run()


def test_the_authoritys_own_renewal_time_is_heard(job: Job, issuer: Issuer) -> None:
    job.run()
    issuer.renew_at = NOW + timedelta(days=10)
    assert not _at(job, issuer, 9).run()
    assert _at(job, issuer, 10.1).run()


def test_the_authority_is_not_asked_again_before_it_wants_to_be(job: Job, issuer: Issuer) -> None:
    job.run()
    for hours in (1, 2, 3):
        _at(job, issuer, hours / 24).run()
    assert issuer.asked_count == 1


def test_the_old_one_stays_in_use_when_the_authority_refuses(job: Job, issuer: Issuer) -> None:
    job.run()
    before = (job.folder / "current/fullchain.pem").read_bytes()
    issuer.refusal = WorldError("no")
    with pytest.raises(WorldError):
        _at(job, issuer, 80).run()
    assert (job.folder / "current/fullchain.pem").read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (lambda job: replace(job, key=OTHER_KEY), "another key"),
        (lambda job: replace(job, settings=_settings("self-signed")), "another source"),
        (
            lambda job: replace(
                job, settings=job.settings.model_copy(update={"acme_directory": "https://b/"})
            ),
            "",
        ),
    ],
    ids=["key", "source", "directory"],
)
def test_another_wish_is_a_reason_to_renew(job: Job, changes: Callable[[Job], Job], reason: str) -> None:
    job.run()
    other = changes(job)
    chain = _chain(key=other.key)
    assert replace(other, obtain=lambda: Issued(chain, "acme", other.settings.acme_directory)).run()


def test_before_the_first_real_one_a_stand_in_is_shown_and_then_replaced(job: Job, issuer: Issuer) -> None:
    assert job.stand_in()
    about = load_about(job.folder)
    assert about is not None
    assert about.source == "stand-in"
    assert issuer.issued_count == 0
    assert not job.stand_in()
    assert job.run()
    about = load_about(job.folder)
    assert about is not None
    assert about.source == "acme"


def test_a_stand_in_never_replaces_a_real_one(job: Job) -> None:
    job.run()
    assert not job.stand_in()


def test_the_operators_own_chain_is_taken_up_when_it_changes(job: Job) -> None:
    own = replace(job, settings=_settings("files"))
    own.chain_file.write_bytes(_chain())
    assert own.run()
    assert not own.run()
    own.chain_file.write_bytes(_chain(days=200))
    assert own.run()


def test_a_certificate_signed_by_itself_renews_itself(job: Job, issuer: Issuer) -> None:
    own = replace(job, settings=_settings("self-signed"))
    assert own.stand_in()
    assert not own.run()
    assert replace(own, now=NOW + timedelta(days=300)).run()
    assert issuer.issued_count == 0


@pytest.mark.parametrize(
    ("chain", "refusal"),
    [
        (_chain(key=OTHER_KEY), "for another key"),
        (_chain(name="other.example.org"), f"not for {NAME}"),
        (_chain(now=NOW - timedelta(days=100)), "ran out on 2027-01-05"),
    ],
    ids=["key", "name", "age"],
)
def test_what_clients_would_refuse_replaces_nothing(job: Job, chain: bytes, refusal: str) -> None:
    job.run()
    before = (job.folder / "current").readlink()
    with pytest.raises(OperatorError, match=refusal):
        replace(job, obtain=lambda: Issued(chain, "acme", DIRECTORY)).run(force=True)
    assert (job.folder / "current").readlink() == before


def test_a_wildcard_covers_its_children() -> None:
    check_leaf(parse_leaf(_chain(name="*.example.org")), NAME, KEY, NOW)


class Killed(BaseException):
    """As if the process ended here."""


@pytest.mark.parametrize("die_at", range(40))
def test_a_job_killed_at_any_step_leaves_one_whole_certificate_in_use(
    job: Job, issuer: Issuer, monkeypatch: pytest.MonkeyPatch, die_at: int
) -> None:
    job.run()
    count = 0

    def mortal(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count > die_at:
                raise Killed
            return real(*arguments, **options)

        return call

    with monkeypatch.context() as patched:
        for owner, name in [
            (os, "open"), (os, "fsync"), (Path, "mkdir"), (Path, "replace"), (Path, "rename"), (Path, "symlink_to")
        ]:  # fmt: skip
            patched.setattr(owner, name, mortal(getattr(owner, name)))
        with suppress(Killed):
            _at(job, issuer, 70).run()
    about = load_about(job.folder)
    assert about is not None
    check_leaf(parse_leaf((job.folder / "current/fullchain.pem").read_bytes()), NAME, KEY, NOW)
    assert (job.folder / "current/key.pem").read_bytes() == KEY
    _at(job, issuer, 70).run()
    renewed = load_about(job.folder)
    assert renewed is not None
    assert renewed.not_after > NOW.timestamp() + 100 * 86_400


def test_only_three_certificates_are_kept(job: Job, issuer: Issuer) -> None:
    for _ in range(6):
        job.run(force=True)
    folders = [path for path in job.folder.iterdir() if path.is_dir() and not path.is_symlink()]
    assert len(folders) == 3
    assert (job.folder / "current").resolve() in folders


def test_a_torn_note_beside_the_certificate_is_no_note(job: Job) -> None:
    job.run()
    (job.folder / "current/about.json").write_text('{"source": "ac')
    assert load_about(job.folder) is None
    assert job.run()


def test_a_key_of_a_kind_that_no_authority_signs_is_refused() -> None:
    with pytest.raises(OperatorError, match="RSA or EC"):
        parse_key(_pem(ed25519.Ed25519PrivateKey.generate()))


def test_a_credential_that_was_not_handed_over_is_named(tmp_path: Path) -> None:
    (tmp_path / "tls-key").write_bytes(b"x")
    assert load_credential({"CREDENTIALS_DIRECTORY": str(tmp_path)}, "tls-key", None) == b"x"
    with pytest.raises(OperatorError, match="acme-account"):
        load_credential({"CREDENTIALS_DIRECTORY": str(tmp_path)}, "acme-account", None)
    with pytest.raises(OperatorError, match="tls-key"):
        load_credential({}, "tls-key", None)


def test_no_log_line_holds_the_key(job: Job) -> None:
    lines: list[str] = []
    replace(job, log=Log(lambda: NOW, lines.append)).run()
    assert [json.loads(line)["event"] for line in lines] == ["cert.due", "cert.renewed"]
    assert KEY.decode().splitlines()[1] not in "".join(lines)


@pytest.mark.parametrize(
    ("kind", "detail", "step"),
    [
        ("dns", "no A record", "publish"),
        ("connection", "could not resolve URL", "publish"),
        ("connection", "timeout", "port 80"),
        ("unauthorized", "wrong answer", "another machine"),
        ("rateLimited", "slow down", "pause"),
    ],
)
def test_an_authoritys_refusal_comes_with_the_next_step(kind: str, detail: str, step: str) -> None:
    problem = messages.Error(typ=f"urn:ietf:params:acme:error:{kind}", detail=detail)
    told = _told(problem, NAME)
    assert detail in told
    assert step in told


class Refusing(PatientNetwork):
    """A network to an authority that refuses so many nonces."""

    def __init__(self, refusals_count: int, code: str = "badNonce") -> None:
        self.left_count, self.code = refusals_count, code

    def _post_once(self, *arguments: Any, **options: Any) -> Any:
        assert options == {"new_nonce_url": "there"}
        options.pop("new_nonce_url")
        self.left_count -= 1
        if self.left_count >= 0:
            raise messages.Error(typ=f"urn:ietf:params:acme:error:{self.code}", detail="no")
        return "answer"

    def __del__(self) -> None:
        """There is no session to close."""


def test_a_refused_nonce_is_followed_by_another_and_not_for_ever() -> None:
    assert Refusing(40).post("url", None, new_nonce_url="there") == "answer"
    with pytest.raises(messages.Error, match="badNonce"):
        Refusing(1_000).post("url", None, new_nonce_url="there")


def test_any_other_refusal_is_final() -> None:
    once = Refusing(1, "malformed")
    with pytest.raises(messages.Error, match="malformed"):
        once.post("url", None, new_nonce_url="there")
    assert once.left_count == 0


def test_an_authority_that_cannot_be_reached_is_the_worlds_fault(tmp_path: Path) -> None:
    away = Authority("https://127.0.0.1:9/dir", "", KEY, tmp_path)
    with pytest.raises(WorldError, match=r"127\.0\.0\.1:9/dir cannot be used now"):
        away.obtain(NAME, KEY)
    assert away.ask_renewal(_chain())[0] is None
    assert issubclass(errors.ValidationError, errors.Error)


@pytest.mark.parametrize("token", ["../../etc/passwd", "a/b", "", "short", "x" * 257, "a" * 20 + "\n"])
def test_a_token_that_is_no_token_names_no_file(token: str) -> None:
    assert not TOKEN.fullmatch(token)
