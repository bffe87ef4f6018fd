"""Making what is missing, importing what was given, and sealing anew when the readers change.

Each step writes one file whole, so a run killed at any point leaves a state that the next run mends: a
private key is written before its public half, and when the readers change their list is written last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import OperatorError, Reason
from ..identity import Identities, Identity, load_identities, parse_recipients, plain_recipient
from ..load import Site
from .needed import (
    ACCOUNT_PREFIX,
    DKIM_PREFIX,
    complete_password,
    dkim_secret,
    dkim_selectors,
    needed_secrets,
    serialize_password,
)
from .pem import algorithm_of_public, check_private, public_half
from .sealed import SUFFIX, seal, unseal, write_whole
from .site import RECIPIENTS_FILE, public_dkim_folder, read_sealed_for, secret_path


@dataclass(frozen=True, slots=True)
class Made:
    """What a run did."""

    made: tuple[str, ...] = ()
    """Names of new secrets."""
    rewritten: tuple[str, ...] = ()
    """Public halves that were written again."""
    completed: tuple[str, ...] = ()
    """Passwords that got their SCRAM keys; made before there were any."""
    sealed_for: tuple[str, ...] = ()
    to_import: tuple[str, ...] = ()
    """Names of secrets that only the operator can supply."""
    unneeded: tuple[str, ...] = ()
    """Names of secrets that the spec no longer implies; never removed here."""


Progress = Callable[[str], None]


def _silent(name: str) -> None:
    """No progress."""


def readers(site: Site, identities: Identities) -> tuple[str, ...]:
    """Whom the secrets are to be sealed for: the spec's recipients, else whom they are, else this operator.

    Raises OperatorError when there is nobody.
    """
    spec = site.spec.secrets
    wanted = [*spec.recipients, *([spec.recovery] if spec.recovery else [])]
    if spec.recipients:
        return tuple(dict.fromkeys(plain_recipient(text) for text in wanted))
    before = read_sealed_for(site)
    own = next((one.recipient for one in identities.found if one.recipient), "")
    # Only a recovery key was added: those who could read before still can.
    base = before or ((plain_recipient(own),) if own else ())
    if not base:
        text = (
            "there is nobody to seal the secrets for: the spec names no recipients, and no identity is here"
        )
        places = " or ".join(str(path) for path in identities.looked_at)
        raise OperatorError(
            Reason(text, f"run `mailserver keys {site.name}`, which makes {places}"), *identities.unusable
        )
    return tuple(dict.fromkeys((*base, *(plain_recipient(text) for text in wanted))))


def make_keys(site: Site, *, identities: Identities | None = None, progress: Progress = _silent) -> Made:
    """Makes what is missing of secrets and public halves. Raises OperatorError before it changes anything."""
    known = identities or load_identities()
    target = readers(site, known)
    parse_recipients(target)
    before = read_sealed_for(site)
    if before and set(before) != set(target):
        text = "the secrets are sealed for other recipients than the spec says"
        raise OperatorError(Reason(text, f"run `mailserver keys {site.name} --rekey`", str(site.file)))
    _refuse_orphans(site)
    if not before:
        _write_readers(site, target)
    have = _names(site)
    needed = list(needed_secrets(site.spec))
    made = []
    for one in needed:
        if one.name not in have and one.make is not None:
            progress(one.name)
            secret = one.make()
            seal(secret_path(site, one.name), secret, target)
            if one.name.startswith(DKIM_PREFIX):
                _write_public(site, one.name, secret)
            made.append(one.name)
    wanted = {one.name for one in needed}
    return Made(
        made=tuple(made),
        rewritten=_mend_public(site, known),
        completed=_complete_passwords(site, known, target, have & {one.name for one in needed}),
        sealed_for=target,
        to_import=tuple(one.name for one in needed if one.make is None and one.name not in have),
        unneeded=tuple(sorted(have - wanted - _retired_dkim(site, have))),
    )


def import_secret(site: Site, name: str, secret: bytes, *, identities: Identities | None = None) -> None:
    """Seals a given secret under a name the spec implies; replaces what is there. Raises OperatorError."""
    known = {one.name for one in needed_secrets(site.spec)}
    if name not in known:
        listed = ", ".join(sorted(known))
        raise OperatorError(Reason(f"the spec implies no secret {name!r}", f"known are: {listed}"))
    if not secret.strip():
        raise OperatorError(Reason(f"the secret given for {name!r} is empty"))
    if name.startswith(ACCOUNT_PREFIX):
        secret = serialize_password(_one_line(name, secret))
    elif name.startswith((DKIM_PREFIX, "tls-key", "acme-account")):
        check = public_half if name.startswith(DKIM_PREFIX) else check_private
        try:
            check(secret)
        except ValueError as error:
            text = f"what was given for {name!r} cannot be used: {error}"
            raise OperatorError(Reason(text, "an unencrypted PEM key is meant")) from None
    elif name in ("tsig", "stranger"):
        secret = _one_line(name, secret).encode() + b"\n"
    target = readers(site, identities or load_identities())
    before = read_sealed_for(site)
    if not before:
        _write_readers(site, target)
    seal(secret_path(site, name), secret, before or target)
    if name.startswith(DKIM_PREFIX):
        _write_public(site, name, secret)


def rekey(site: Site, *, identities: Identities | None = None, progress: Progress = _silent) -> Made:
    """Seals every secret for the spec's recipients. Opens all before it writes the first.

    Who could read before can still read the old files in git: a lost identity asks for new secrets as well.
    """
    known = identities or load_identities()
    target = readers(site, known)
    parse_recipients(target)
    before = read_sealed_for(site)
    opened: dict[str, bytes] = {}
    reasons: list[Reason] = []
    for name in sorted(_names(site)):
        try:
            opened[name] = unseal(secret_path(site, name), known, before)
        except OperatorError as error:
            reasons += [reason for reason in error.reasons if reason not in reasons]
    if reasons:
        raise OperatorError(*reasons)
    for name, secret in opened.items():
        progress(name)
        seal(secret_path(site, name), secret, target)
    _write_readers(site, target)
    return Made(made=tuple(opened), sealed_for=target)


def _one_line(name: str, secret: bytes) -> str:
    try:
        text = secret.decode().strip("\r\n")
    except UnicodeDecodeError:
        raise OperatorError(Reason(f"the secret given for {name!r} is no UTF-8 text")) from None
    if any(ord(letter) < 0x20 for letter in text):
        raise OperatorError(Reason(f"the secret given for {name!r} has more than one line", "give one line"))
    return text


def _names(site: Site) -> set[str]:
    return {path.name.removesuffix(SUFFIX) for path in site.secrets_folder.glob(f"[!.]*{SUFFIX}")}


def _dkim_pairs(site: Site) -> list[tuple[str, str]]:
    return [
        (selector, domain)
        for domain, rule in site.spec.domains.items()
        for selector, _ in dkim_selectors(rule.dkim_epoch)
    ]


def _retired_dkim(site: Site, have: set[str]) -> set[str]:
    """Keys of earlier epochs, whose public halves the DNS still shows."""
    folder = public_dkim_folder(site)
    return {
        dkim_secret(path.stem, domain)
        for domain in site.spec.domains
        for path in (folder / domain).glob("*.pem")
    } & have


def _refuse_orphans(site: Site) -> None:
    """A public half without its secret: making a new pair would silently change what the DNS must show."""
    reasons = [
        Reason(
            f"the public half is here, but the secret {dkim_secret(selector, domain)!r} is not",
            "restore the secret from git; or delete the public half to make a new pair",
            str(public_dkim_folder(site) / domain / f"{selector}.pem"),
        )
        for selector, domain in _dkim_pairs(site)
        if (public_dkim_folder(site) / domain / f"{selector}.pem").exists()
        and not secret_path(site, dkim_secret(selector, domain)).exists()
    ]
    if reasons:
        raise OperatorError(*reasons)


def _mend_public(site: Site, identities: Identities) -> tuple[str, ...]:
    """Writes public halves again whose secrets are there; a run was killed between the two."""
    mended = []
    sealed_for = read_sealed_for(site)
    for selector, domain in _dkim_pairs(site):
        path = public_dkim_folder(site) / domain / f"{selector}.pem"
        name = dkim_secret(selector, domain)
        if not _is_public_key(path):
            _write_public(site, name, unseal(secret_path(site, name), identities, sealed_for))
            mended.append(str(path))
    return tuple(mended)


def _complete_passwords(
    site: Site, identities: Identities, target: Sequence[str], names: set[str]
) -> tuple[str, ...]:
    """Adds SCRAM keys to passwords from before there were any, where they can be opened here."""
    completed = []
    sealed_for = read_sealed_for(site)
    for name in sorted(name for name in names if name.startswith(ACCOUNT_PREFIX)):
        path = secret_path(site, name)
        try:
            secret = complete_password(unseal(path, identities, sealed_for))
        except OperatorError:  # they log in as before, and whoever can open them may do this later
            continue
        if secret is not None:
            seal(path, secret, target)
            completed.append(name)
    return tuple(completed)


def _is_public_key(path: Path) -> bool:
    try:
        algorithm_of_public(path.read_bytes())
    except (OSError, ValueError):
        return False
    return True


def _write_public(site: Site, name: str, secret: bytes) -> None:
    selector, domain = name.removeprefix(DKIM_PREFIX).split(".", 1)
    write_whole(public_dkim_folder(site) / domain / f"{selector}.pem", public_half(secret))


def _write_readers(site: Site, recipients: Sequence[str]) -> None:
    text = "# Whom the files in secrets/ are sealed for; written by `mailserver keys`.\n"
    write_whole(site.public_folder / RECIPIENTS_FILE, (text + "\n".join(recipients) + "\n").encode())


def own_recipient(identities: Identities) -> Identity | None:
    """The identity that new secrets are sealed for when the spec names nobody."""
    return next((one for one in identities.found if one.recipient), None)
