"""A site's keys as they lie in its folder: public halves read at once, secrets only when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...errors import OperatorError, Reason
from ..identity import Identities, load_identities
from ..load import Site
from ..settings import PublicKey, PublicKeys
from .needed import dkim_selectors, needed_secrets
from .pem import algorithm_of_public
from .sealed import SUFFIX, unseal

RECIPIENTS_FILE = "recipients"
"""In `public/`: whom the secrets are sealed for, one a line."""


@dataclass(frozen=True, slots=True)
class SiteKeys:
    """A site's keys as they lie in its folder: public halves read, secrets not."""

    site: Site
    published: PublicKeys
    """Every DKIM key that the DNS should show, by domain: the current epoch's first, then retired ones."""
    sealed_for: tuple[str, ...]

    @classmethod
    def load(cls, site: Site) -> SiteKeys:
        """Reads the public halves. Raises OperatorError naming each file that is no public key."""
        published: dict[str, tuple[PublicKey, ...]] = {}
        reasons: list[Reason] = []
        for domain, rule in site.spec.domains.items():
            current = [selector for selector, _ in dkim_selectors(rule.dkim_epoch)]
            files = {path.stem: path for path in sorted((public_dkim_folder(site) / domain).glob("*.pem"))}
            keys = []
            for selector in (*current, *(name for name in files if name not in current)):
                if selector in files:
                    try:
                        keys.append(_read_public(selector, files[selector]))
                    except OperatorError as error:
                        reasons += error.reasons
            published[domain] = tuple(keys)
        if reasons:
            raise OperatorError(*reasons)
        return cls(site, published, read_sealed_for(site))

    @property
    def current(self) -> PublicKeys:
        """The keys that mail is signed with now; a domain without keys has an empty tuple."""
        return {domain: tuple(self.public_dkim(domain)) for domain in self.published}

    def public_dkim(self, domain: str) -> list[PublicKey]:
        """(selector, algorithm, PEM) of the domain's current epoch."""
        epoch = self.site.spec.domains[domain].dkim_epoch
        names = [selector for selector, _ in dkim_selectors(epoch)]
        return [key for key in self.published[domain] if key.selector in names]

    def path(self, name: str) -> Path:
        """The file of one secret."""
        return secret_path(self.site, name)

    def names(self) -> tuple[str, ...]:
        """The secrets that lie there, needed or not."""
        files = self.site.secrets_folder.glob(f"*{SUFFIX}")
        return tuple(sorted(path.name.removesuffix(SUFFIX) for path in files if path.name[0] != "."))

    def missing(self) -> tuple[Reason, ...]:
        """What the spec implies and is not there, secrets and public halves."""
        have = set(self.names())
        reasons = [
            Reason(
                f"the secret {needed.name!r} is missing ({needed.why})",
                _cure(self.site, needed.name, needed.make),
            )
            for needed in needed_secrets(self.site.spec)
            if needed.name not in have
        ]
        for domain, rule in self.site.spec.domains.items():
            there = {key.selector for key in self.published[domain]}
            for selector, _ in dkim_selectors(rule.dkim_epoch):
                if selector not in there:
                    text = f"the public half of DKIM key {selector} of {domain} is missing"
                    reasons.append(Reason(text, f"run `mailserver keys {self.site.name}`"))
        return tuple(reasons)

    def require(self) -> None:
        """Raises OperatorError with everything that is missing."""
        reasons = self.missing()
        if reasons:
            raise OperatorError(*reasons)

    def open(self, name: str, identities: Identities | None = None) -> bytes:
        """The secret in clear. Raises OperatorError with the next step."""
        return unseal(self.path(name), identities or load_identities(), self.sealed_for)


def public_dkim_folder(site: Site) -> Path:
    """`public/dkim/<domain>/<selector>.pem`."""
    return site.public_folder / "dkim"


def secret_path(site: Site, name: str) -> Path:
    """`secrets/<name>.age`."""
    return site.secrets_folder / f"{name}{SUFFIX}"


def read_sealed_for(site: Site) -> tuple[str, ...]:
    """Whom the secrets are sealed for; empty before the first."""
    try:
        text = (site.public_folder / RECIPIENTS_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    return tuple(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))


def _read_public(selector: str, path: Path) -> PublicKey:
    try:
        pem = path.read_bytes()
        return PublicKey(selector, algorithm_of_public(pem), pem)
    except (ValueError, OSError) as error:
        cure = "delete it and run `mailserver keys`, which writes it again from the secret"
        raise OperatorError(Reason(f"cannot be used: {error}", cure, str(path))) from None


def _cure(site: Site, name: str, make: object) -> str:
    if make is not None:
        return f"run `mailserver keys {site.name}`"
    return f"run `mailserver keys {site.name} --import {name} FILE` (or - for stdin)"
