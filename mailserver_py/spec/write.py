"""Edits of `mail.yaml` that keep its comments and order; only ever at the operator's word."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from .keys.sealed import write_whole
from .load import Site, load_site


def write_recipients(site: Site, recipients: Sequence[str]) -> Site:
    """Puts `secrets.recipients` into the spec, and loads it again. Raises OperatorError when that fails."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4_096  # no re-wrapping of lines that are not ours
    document = yaml.load(site.file.read_text(encoding="utf-8"))
    section = document.get("secrets")
    if section is None:
        section = CommentedMap()
        document["secrets"] = section
    section["recipients"] = list(recipients)
    text = StringIO()
    yaml.dump(document, text)
    write_whole(site.file, text.getvalue().encode())
    return load_site(site.folder)
