"""Rules about who can read the secrets."""

from __future__ import annotations

from collections.abc import Iterator

from ..identity import parse_recipient
from ..model import MailSpec
from ..source import Loc
from .shape import Finding


def recipients_are_keys(spec: MailSpec) -> Iterator[Finding]:
    """Whoever stands there will be able to read the secrets."""
    secrets = spec.secrets
    texts: list[tuple[Loc, str]] = [
        (("secrets", "recipients", index), text) for index, text in enumerate(secrets.recipients)
    ]
    if secrets.recovery is not None:
        texts.append((("secrets", "recovery"), secrets.recovery))
    for loc, text in texts:
        try:
            parse_recipient(text)
        except ValueError as refusal:
            cure = "`age1…` as `mailserver keys` prints it, or the line of an `id_ed25519.pub`"
            yield Finding(loc, str(refusal), cure)


RULES = (recipients_are_keys,)
