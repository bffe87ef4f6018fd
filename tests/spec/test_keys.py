"""Keys: only what is missing is made, each secret in a file of its own, readable by whom the spec says."""

import json
import subprocess
from pathlib import Path

import argon2
import pyrage
import pytest

from mailserver_py.errors import OperatorError
from mailserver_py.spec.identity import parse_recipient
from mailserver_py.spec.keys import (
    Identities,
    SiteKeys,
    create_identity,
    import_secret,
    load_identities,
    make_keys,
    rekey,
    secret_path,
)
from mailserver_py.spec.keys.sealed import seal
from mailserver_py.spec.load import Site, load_site
from mailserver_py.spec.write import write_recipients
from mailserver_py.wire.sasl.keys import derive_keys, parse_keys
from tests.spec.sites import SMALLEST, write_site

CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "password.alice@example.org"


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cost of a hash is argon2's business; nine tests need not pay it."""
    monkeypatch.setattr(argon2, "PasswordHasher", lambda: CHEAP)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return write_site(tmp_path / "site", SMALLEST + "tls: {source: self-signed}\n")


@pytest.fixture
def me(tmp_path: Path) -> Identities:
    return identities(create_identity(tmp_path / "me.txt").path)


def identities(path: Path) -> Identities:
    return load_identities({"MAILSERVER_IDENTITY": str(path)})


def files(site: Site) -> dict[str, bytes]:
    return {
        str(p.relative_to(site.folder)): p.read_bytes() for p in sorted(site.folder.rglob("*")) if p.is_file()
    }


def test_a_second_run_makes_nothing_and_changes_no_octet(site: Site, me: Identities) -> None:
    made = make_keys(site, identities=me)
    assert made.made == (
        "dkim.r1.example.org",
        "dkim.e1.example.org",
        "tls-key.mx1.example.org",
        PASSWORD,
        "password.mailserver-verify@example.org",
    )
    before = files(site)
    assert make_keys(site, identities=me).made == ()
    assert files(site) == before


def test_a_new_account_adds_one_file_and_changes_none(site: Site, me: Identities) -> None:
    make_keys(site, identities=me)
    before = files(site)
    more = write_site(
        site.folder, site.file.read_text().replace("accounts:\n", "accounts:\n  bob@example.org:\n")
    )
    make_keys(more, identities=me)
    after = files(more)
    assert set(after) - set(before) == {"secrets/password.bob@example.org.age"}
    assert all(after[name] == data for name, data in before.items() if name != "mail.yaml")


def test_public_halves_belong_to_the_secrets(site: Site, me: Identities) -> None:
    make_keys(site, identities=me)
    keys = SiteKeys.load(site)
    assert [(key.selector, key.algorithm) for key in keys.public_dkim("example.org")] == [
        ("r1", "rsa-sha256"),
        ("e1", "ed25519-sha256"),
    ]
    assert keys.open("dkim.r1.example.org", me).startswith(b"-----BEGIN PRIVATE KEY-----")
    assert keys.missing() == ()


def test_a_password_is_kept_with_its_hash(site: Site, me: Identities) -> None:
    make_keys(site, identities=me)
    secret = json.loads(SiteKeys.load(site).open(PASSWORD, me))
    assert argon2.PasswordHasher().verify(secret["argon2id"], secret["password"])
    assert len(secret["password"].replace("-", "")) == 20
    keys = parse_keys(secret["scram"])
    assert derive_keys(secret["password"], keys.salt, keys.iteration_count) == keys


def test_a_password_of_before_gets_scram_keys_and_keeps_what_it_has(site: Site, me: Identities) -> None:
    make_keys(site, identities=me)
    path = SiteKeys.load(site).path(PASSWORD)
    before = json.loads(SiteKeys.load(site).open(PASSWORD, me))
    del before["scram"]
    seal(path, json.dumps(before).encode(), SiteKeys.load(site).sealed_for)
    assert make_keys(site, identities=Identities((), (), ())).completed == ()
    assert make_keys(site, identities=me).completed == (PASSWORD,)
    after = json.loads(SiteKeys.load(site).open(PASSWORD, me))
    assert after.pop("scram").startswith("SCRAM-SHA-256$")
    assert after == before
    sealed = path.read_bytes()
    assert make_keys(site, identities=me).completed == ()
    assert path.read_bytes() == sealed


def test_a_new_epoch_makes_a_new_pair_and_keeps_the_old_published(site: Site, me: Identities) -> None:
    make_keys(site, identities=me)
    rolled = write_site(
        site.folder,
        site.file.read_text().replace("example.org:\nhosts", "example.org: {dkim_epoch: 2}\nhosts"),
    )
    made = make_keys(rolled, identities=me)
    assert made.made == ("dkim.r2.example.org", "dkim.e2.example.org")
    assert made.unneeded == ()
    keys = SiteKeys.load(rolled)
    assert [key.selector for key in keys.published["example.org"]] == ["r2", "e2", "e1", "r1"]
    assert [key.selector for key in keys.public_dkim("example.org")] == ["r2", "e2"]


def test_a_public_half_that_was_lost_is_written_again(site: Site, me: Identities) -> None:
    make_keys(site, identities=me)
    before = files(site)
    (site.public_folder / "dkim/example.org/r1.pem").unlink()
    (site.public_folder / "dkim/example.org/e1.pem").write_text("half")
    with pytest.raises(OperatorError, match=r"e1\.pem.*cannot be used"):
        SiteKeys.load(site)
    assert len(make_keys(site, identities=me).rewritten) == 2
    assert files(site) == before


def test_a_secret_that_was_lost_is_not_silently_replaced(site: Site, me: Identities) -> None:
    make_keys(site, identities=me)
    secret_path(site, "dkim.r1.example.org").unlink()
    with pytest.raises(OperatorError, match="restore the secret from git"):
        make_keys(site, identities=me)


def test_another_identity_cannot_read_and_is_told_who_can(site: Site, me: Identities, tmp_path: Path) -> None:
    make_keys(site, identities=me)
    other = identities(create_identity(tmp_path / "other.txt").path)
    with pytest.raises(OperatorError) as refusal:
        SiteKeys.load(site).open(PASSWORD, other)
    assert me.found[0].recipient[:40] in str(refusal.value)
    assert "--rekey" in str(refusal.value)


def test_without_any_identity_the_next_step_is_named(site: Site, me: Identities, tmp_path: Path) -> None:
    make_keys(site, identities=me)
    with pytest.raises(OperatorError, match="recovery identity"):
        SiteKeys.load(site).open(PASSWORD, identities(tmp_path / "nowhere.txt"))


@pytest.mark.parametrize(
    "harm", [lambda d: d[:200], lambda d: d.replace(b"\n", b"x", 3), lambda d: b"", lambda d: b"hi"]
)
def test_a_damaged_secret_is_named_and_none_is_shown(site: Site, me: Identities, harm: object) -> None:
    make_keys(site, identities=me)
    path = secret_path(site, PASSWORD)
    path.write_bytes(harm(path.read_bytes()))  # type: ignore[operator]  # a parametrised lambda
    with pytest.raises(OperatorError, match="damaged or half-typed"):
        SiteKeys.load(site).open(PASSWORD, me)


def test_a_damaged_identity_is_named_without_its_text(tmp_path: Path) -> None:
    (tmp_path / "id.txt").write_text("# mine\nAGE-SECRET-KEY-1HALF\n")
    found = identities(tmp_path / "id.txt")
    assert found.found == ()
    assert [(reason.line, "HALF" in reason.render()) for reason in found.unusable] == [(2, False)]


def test_an_identity_is_private_and_never_overwritten(tmp_path: Path) -> None:
    made = create_identity(tmp_path / "deep/id.txt")
    assert made.path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(OperatorError, match="never overwritten"):
        create_identity(made.path)


def ssh_key(folder: Path, passphrase: str) -> Path:
    path = folder / f"id{len(passphrase)}"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", path], check=True)
    return path


def test_an_ssh_key_reads_what_is_sealed_for_it(site: Site, tmp_path: Path) -> None:
    key = ssh_key(tmp_path, "")
    mine = identities(key)
    public = key.with_suffix(".pub").read_text().strip()
    asked = write_site(site.folder, site.file.read_text() + f"secrets: {{recipients: ['{public}']}}\n")
    make_keys(asked, identities=mine)
    assert SiteKeys.load(asked).open(PASSWORD, mine)
    assert mine.found[0].recipient == " ".join(public.split()[:2])


def test_an_ssh_key_with_a_passphrase_says_what_to_do(site: Site, me: Identities, tmp_path: Path) -> None:
    make_keys(site, identities=me)
    with pytest.raises(OperatorError, match="passphrase"):
        SiteKeys.load(site).open(PASSWORD, identities(ssh_key(tmp_path, "secret words")))


def test_new_readers_are_let_in_by_sealing_anew(site: Site, me: Identities, tmp_path: Path) -> None:
    make_keys(site, identities=me)
    other = identities(create_identity(tmp_path / "other.txt").path)
    both = [me.found[0].recipient, other.found[0].recipient]
    asked = write_recipients(site, both)
    with pytest.raises(OperatorError, match="--rekey"):
        make_keys(asked, identities=me)
    with pytest.raises(OperatorError, match="not sealed for"):
        rekey(asked, identities=other)
    rekey(asked, identities=me)
    assert SiteKeys.load(asked).open(PASSWORD, other) == SiteKeys.load(asked).open(PASSWORD, me)
    assert make_keys(asked, identities=other).made == ()


def test_writing_recipients_keeps_comments(tmp_path: Path, me: Identities) -> None:
    site = write_site(
        tmp_path / "c", "# first\n" + SMALLEST.replace("ipv4:", "# why\n    ipv4:") + "# last\n"
    )
    text = write_recipients(site, [me.found[0].recipient]).file.read_text()
    assert all(comment in text for comment in ("# first", "# why", "# last", me.found[0].recipient))


def test_secrets_that_only_the_operator_has_are_asked_for_and_imported(site: Site, me: Identities) -> None:
    stranger = "{address: a@b.net, smtp: 'b.net:465', imap: 'b.net:993', user: a}"
    asked = write_site(site.folder, site.file.read_text() + f"verification: {{stranger: {stranger}}}\n")
    assert make_keys(asked, identities=me).to_import == ("stranger",)
    assert "--import stranger" in SiteKeys.load(asked).missing()[0].cure
    import_secret(asked, "stranger", b"their password\n", identities=me)
    assert SiteKeys.load(asked).open("stranger", me) == b"their password\n"
    assert SiteKeys.load(asked).missing() == ()


@pytest.mark.parametrize(
    ("name", "secret", "words"),
    [
        ("tsgi", b"x", "known are"),
        (PASSWORD, b" \n", "empty"),
        (PASSWORD, b"one\ntwo", "more than one line"),
        (PASSWORD, b"\xff", "UTF-8"),
        ("dkim.r1.example.org", b"hello", "PEM"),
        ("tls-key.mx1.example.org", b"hello", "PEM"),
    ],
)
def test_an_import_that_cannot_be_is_refused(
    site: Site, me: Identities, name: str, secret: bytes, words: str
) -> None:
    with pytest.raises(OperatorError, match=words):
        import_secret(site, name, secret, identities=me)


def test_a_hash_from_another_server_is_taken_over(site: Site, me: Identities) -> None:
    hashed = CHEAP.hash("old password")
    import_secret(site, PASSWORD, hashed.encode(), identities=me)
    assert json.loads(SiteKeys.load(site).open(PASSWORD, me)) == {"password": "", "argon2id": hashed}


def test_foreign_age_opens_our_files(site: Site, me: Identities) -> None:
    make_keys(site, identities=me)
    sealed = secret_path(site, PASSWORD).read_bytes()
    assert sealed.startswith(b"-----BEGIN AGE ENCRYPTED FILE-----")
    assert pyrage.decrypt(sealed, [me.found[0].secret])


def test_a_secret_identity_is_no_recipient(tmp_path: Path) -> None:
    secret = str(pyrage.x25519.Identity.generate())
    with pytest.raises(ValueError, match="secret identity") as refusal:
        parse_recipient(secret)
    assert secret not in str(refusal.value)


def test_keys_can_lie_in_a_folder_of_their_own(site: Site, me: Identities) -> None:
    asked = write_site(site.folder, site.file.read_text() + "secrets: {folder: own}\n")
    make_keys(asked, identities=me)
    assert (site.folder / "own/secrets/dkim.r1.example.org.age").exists()
    assert load_site(site.folder).public_folder.is_dir()
