"""Small specs for the tests, as text: mistakes have lines only in text."""

from __future__ import annotations

from pathlib import Path

from mailserver_py.spec.load import Site, check_spec, load_site
from mailserver_py.spec.model import MailSpec

SMALLEST = """\
domains:
  example.org:
hosts:
  mx1.example.org:
    ipv4: 192.0.2.10
accounts:
  alice@example.org:
"""


def spec_of(text: str) -> MailSpec:
    """The spec of a text that must be sound."""
    spec, reasons = check_spec(text, Path("site"))
    assert spec is not None, "\n".join(reason.render() for reason in reasons)
    return spec


def findings_of(text: str, folder: Path = Path("site"), *, files: bool = False) -> list[tuple[int, str, str]]:
    """(line, text, cure) of everything that is wrong."""
    return [(r.line, r.text, r.cure) for r in check_spec(text, folder, files=files)[1]]


def write_site(folder: Path, text: str = SMALLEST) -> Site:
    """A site's folder with this spec."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mail.yaml").write_text(text)
    return load_site(folder)
