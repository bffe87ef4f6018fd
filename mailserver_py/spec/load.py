"""A site's folder → a checked spec, or everything that is wrong with it at once.

Where types are wrong, the wrong parts are cut out and the rules still run over the rest, so that one run
tells as much as can be told; what only follows from a cut is not said.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from ..errors import OperatorError, Reason
from .explain import explain, nearest, plain_loc
from .model import MailSpec
from .rules import FILE_RULES, RULES, Finding
from .source import Loc, Node, find, normal_step, parse_source, remove

INVENTORIES = Path("inventories")
"""Where sites given by name are looked for, from the current folder."""

SPEC_FILE = "mail.yaml"

MAX_CUTS_COUNT = 8
"""Rounds of cutting before rules are skipped: a cut can make its parent wrong, and models nest 5 deep."""

_NAMED_MAPS = ("domains", "hosts", "accounts", "groups")


@dataclass(frozen=True, slots=True)
class Site:
    """One site: its name, its folder, and its spec."""

    name: str
    folder: Path
    spec: MailSpec

    @property
    def file(self) -> Path:
        """The spec itself."""
        return self.folder / SPEC_FILE

    @property
    def secrets_folder(self) -> Path:
        """The encrypted files, one secret each."""
        return self.folder / self.spec.secrets.folder / "secrets"

    @property
    def public_folder(self) -> Path:
        """What the keys show to the world, in clear."""
        return self.folder / self.spec.secrets.folder / "public"


def load_site(path_or_name: str | Path, *, files: bool = False) -> Site:
    """The site with a name under `inventories/`, or at a path. Raises OperatorError with all reasons.

    `files`: also check the files that the spec names; some are made after the spec is first read.
    """
    folder = site_folder(path_or_name)
    file = folder / SPEC_FILE
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise OperatorError(Reason(f"no UTF-8 text: {error.reason}", "save it as UTF-8", str(file))) from None
    except OSError as error:
        cure = "a site is a folder with a mail.yaml; copy inventories/example"
        raise OperatorError(Reason(f"cannot be read: {error.strerror}", cure, str(file))) from None
    spec, reasons = check_spec(text, folder, files=files)
    if spec is None:
        raise OperatorError(*reasons)
    return Site(folder.resolve().name, folder, spec)


def site_folder(path_or_name: str | Path) -> Path:
    """The folder that is meant. Raises OperatorError naming the nearest site."""
    given = Path(path_or_name)
    if given.name == SPEC_FILE and given.is_file():
        return given.parent
    for folder in (given, INVENTORIES / given) if len(given.parts) > 1 else (INVENTORIES / given, given):
        if (folder / SPEC_FILE).is_file():
            return folder
    known = sorted(path.parent.name for path in INVENTORIES.glob(f"*/{SPEC_FILE}"))
    close = nearest(str(given), known)
    hint = f"did you mean `{close}`?" if close else f"known are: {', '.join(known)}" if known else ""
    cure = hint or "run it where the folder `inventories` is, or give a path to the site's folder"
    raise OperatorError(
        Reason(f"there is no site {str(given)!r} (no {INVENTORIES / given / SPEC_FILE})", cure)
    )


def check_spec(text: str, folder: Path, *, files: bool = False) -> tuple[MailSpec | None, list[Reason]]:
    """The spec when nothing is wrong with it; else None, and every reason in the file's order."""
    file = str(folder / SPEC_FILE)
    root, reasons = parse_source(text, file)
    if root is None:
        return None, reasons
    reasons += _same_name_twice(root, file)
    spec, complaints, cuts = _validate(root, file)
    reasons += complaints
    if spec is not None:
        reasons += [
            Reason(finding.text, finding.cure, file, find(root, finding.loc)[0].line)
            for finding in _findings(spec, folder if files else None)
            if not any(_related(finding.loc, cut) for cut in cuts)
        ]
    reasons.sort(key=lambda reason: reason.line)
    return (None if reasons else spec), reasons


def _findings(spec: MailSpec, folder: Path | None) -> Iterator[Finding]:
    for rule in RULES:
        yield from rule(spec)
    if folder is not None:
        for file_rule in FILE_RULES:
            yield from file_rule(spec, folder)


def _validate(root: Node, file: str) -> tuple[MailSpec | None, list[Reason], list[Loc]]:
    """The spec, perhaps of what is left after cutting; the complaints of the first round; and the cuts."""
    complaints: list[Reason] = []
    cuts: list[Loc] = []
    for attempt in range(MAX_CUTS_COUNT):
        try:
            return MailSpec.model_validate(root.plain()), complaints, cuts
        except ValidationError as error:
            errors = error.errors(include_url=False)
        if attempt == 0:
            complaints = [explain(one, root, file) for one in errors]
        # Later list items first, so that the places of the earlier ones stay right.
        for loc in sorted((plain_loc(one) for one in errors), key=_loc_order, reverse=True):
            cut = loc if remove(root, loc) else loc[:-1]
            if cut == loc or (cut and remove(root, cut)):
                cuts.append(tuple(normal_step(step) for step in cut))
            elif not cut:
                return None, complaints, cuts
    return None, complaints, cuts


def _loc_order(loc: Loc) -> tuple[tuple[int, str], ...]:
    return tuple((step, "") if isinstance(step, int) else (0, step) for step in loc)


def _related(loc: Loc, cut: Loc) -> bool:
    shorter = min(len(loc), len(cut))
    return loc[:shorter] == cut[:shorter]


def _same_name_twice(root: Node, file: str) -> Iterator[Reason]:
    """`Example.org` and `example.org` are one domain; pydantic would let the last win."""
    if not isinstance(root.value, dict):
        return
    for section in _NAMED_MAPS:
        node = root.value.get(section)
        first: dict[str | int, tuple[str, int]] = {}
        for key, child in node.value.items() if node is not None and isinstance(node.value, dict) else ():
            known, line = first.setdefault(normal_step(key), (key, child.line))
            if known != key:
                text = f"{key!r} is the same name as {known!r} in line {line}"
                yield Reason(text, "keep one of the two", file, child.line)
