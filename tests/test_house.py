"""The laws of the house, held by tests: imports, purity, menus, names, units, sizes, budgets, citations."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from mailserver_py import rfcs
from mailserver_py.cli.menu import MENU as COMMANDS

ROOT = Path(__file__).parent.parent
HOUSE = ROOT / "mailserver_py"

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60

CORES = ("message", "wire", "senderauth", "smtp", "imap", "pop3", "zone")
"""Rooms whose every file is pure; of spec and mailstore only the files below."""

PURE_FILES = (
    *("spec/model.py", "spec/types.py", "spec/settings.py", "spec/address_plan.py", "spec/listeners.py"),
    *("mailstore/port.py", "mailstore/values.py", "mailstore/names.py"),
)

IMPURE = {"asyncio", "socket", "ssl", "time", "random", "secrets", "os", "sqlite3", "pyinfra"}
"""Law 2: clock, randomness and lookups come in as arguments."""

PYDANTIC_DOORS = ("spec/", "cli/", "daemon/options.py")
"""Law 4: pydantic stays at the doors; the daemon's is where it reads its settings."""

FORBIDDEN_NAMES = {
    "util",
    "utils",
    "helper",
    "helpers",
    "common",
    "misc",
    "base",
    "core",
    "manager",
    "handler",
    "service",
}

BUDGETS = {"type: ignore": 5, "noqa": 12, "pragma: no cover": 0}
"""Suppressions in the house, exactly: one more has to be argued for here, one fewer is worth lowering the number."""

UNITS = (
    *("_bytes", "_s", "_ms", "_count", "_percent", "_per_min", "_days", "_at", "_bits"),
    *("_port", "_modseq", "_id"),
)

PLAIN_NUMBERS = {
    # Not quantities: names, positions, bit sets.
    *(
        "port",
        "port_base",
        "line",
        "column",
        "version",
        "code",
        "number",
        "sequence",
        "status",
        "exit_status",
    ),
    *("index", "offset", "depth", "start", "end", "body_start", "fd", "pid", "gid", "mode", "flags", "bits"),
    # The standards' own words: DNS, IMAP (`<origin.length>`, CHANGEDSINCE), X.509.
    *("preference", "priority", "weight", "uid", "uidvalidity", "uid_validity", "uid_next", "modseq"),
    *("origin", "length", "changed_since", "unchanged_since", "not_before", "not_after"),
    # The name is the unit.
    *("at", "count", "seconds"),
    # What the operator writes: counts whose field's name says of what.
    *("recipients", "connections", "connections_per_address", "workers"),
    *("account_messages", "account_mailboxes"),
}


@cache
def files() -> tuple[Path, ...]:
    return tuple(sorted(HOUSE.rglob("*.py")))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def name_of(path: Path) -> str:
    return str(path.relative_to(HOUSE))


def room_of(path: Path) -> str:
    return path.relative_to(HOUSE).parts[0]


def imports_of(path: Path) -> Iterator[str]:
    """Top-level names of everything imported from outside the house."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]


def test_law_1_imports_go_down_only() -> None:
    program = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3_000:]


def test_law_2_cores_know_no_clock_no_chance_and_no_socket() -> None:
    pure = [path for path in files() if room_of(path) in CORES or name_of(path) in PURE_FILES]
    assert {name_of(path) for path in pure} >= set(PURE_FILES)
    guilty = {name_of(path): sorted(IMPURE & set(imports_of(path))) for path in pure}
    assert {name: found for name, found in guilty.items() if found} == {}


def test_law_3_only_the_daemons_app_and_the_command_line_choose_a_store() -> None:
    choosers = {"daemon/app.py", "daemon/rehearsal.py"}
    guilty = [
        name_of(path)
        for path in files()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom)
        and "mailstore.embedded" in f"{node.module}"
        and room_of(path) not in ("mailstore", "cli")
        and name_of(path) not in choosers
    ]
    assert guilty == []


def test_law_4_pydantic_stays_at_the_doors() -> None:
    guilty = [
        name_of(path)
        for path in files()
        if "pydantic" in imports_of(path) and not name_of(path).startswith(PYDANTIC_DOORS)
    ]
    assert guilty == []


LIVING = {"daemon/certificate_authority.py: Authority", "lab/lab.py: Lab", "provision/deployment.py: Target"}
"""Not values: they hold a connection or a last look, and compute some attributes once."""


def test_law_4_dataclasses_are_frozen_or_at_least_slotted() -> None:
    """A value is both; something that lives and changes has slots, or is frozen around a cache."""
    guilty = [
        f"{name_of(path)}: {node.name}"
        for path in files()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef)
        for mark in map(ast.unparse, node.decorator_list)
        if mark.startswith("dataclass") and "slots=True" not in mark and "frozen=True" not in mark
    ]
    assert set(guilty) == LIVING


FAMILIES = ("imap/commands", "zone/records", "verify/checks", "provision/steps")
MENUS = ("MENU", "CHECKS", "STEPS")


@pytest.mark.parametrize("family", FAMILIES)
def test_law_5_every_leaf_is_on_its_menu_and_every_entry_is_a_leaf(family: str) -> None:
    folder = HOUSE / family
    leaves = {path.stem for path in folder.glob("*.py")} - {"__init__", "shape"}
    menu = _menu_names(folder / "__init__.py", leaves)
    assert menu == leaves


def _menu_names(init: Path, leaves: set[str]) -> set[str]:
    """The leaves that the assignment of MENU names, directly or through what was imported from them."""
    origin: dict[str, str] = {}
    for node in ast.walk(tree(init)):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            for alias in node.names:
                module = node.module or alias.name
                origin[alias.asname or alias.name] = module.split(".")[0]
    for node in tree(init).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if (
            isinstance(node, ast.Assign | ast.AnnAssign)
            and isinstance(target, ast.Name)
            and target.id in MENUS
        ):
            assert node.value is not None
            used = {name.id for name in ast.walk(node.value) if isinstance(name, ast.Name)}
            return {origin[name] for name in used if name in origin} & leaves
    pytest.fail(f"{init} has no menu")


def test_law_5_every_command_of_the_command_line_is_a_file() -> None:
    stems = {path.stem for path in (HOUSE / "cli").glob("*.py")}
    menu = {row.module or row.name for row in COMMANDS}
    assert menu - stems == set()
    commands = {
        path.stem
        for path in (HOUSE / "cli").glob("*.py")
        if any(isinstance(node, ast.FunctionDef) and node.name == "command" for node in tree(path).body)
        or re.search(r"^command = ", path.read_text(), re.MULTILINE)
    }
    assert commands - menu == set()


def test_law_5_every_rule_of_the_spec_is_in_a_table() -> None:
    rules = import_module("mailserver_py.spec.rules")
    listed = {rule.__name__ for rule in (*rules.RULES, *rules.FILE_RULES)}
    written = {
        node.name
        for path in (HOUSE / "spec/rules").glob("*.py")
        for node in tree(path).body
        if isinstance(node, ast.FunctionDef)
        and node.name[0] != "_"
        and "Finding" in ast.unparse(node.returns or node)
    }
    assert written == listed


def test_law_7_no_name_that_says_nothing() -> None:
    guilty = [
        name_of(path)
        for path in files()
        for part in path.relative_to(HOUSE).with_suffix("").parts
        if FORBIDDEN_NAMES & set(part.split("_"))
    ]
    assert guilty == []


def test_law_8_bare_numbers_carry_their_unit() -> None:
    """Fields of values that are a bare int or float."""
    guilty = []
    for path in files():
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.ClassDef):
                continue
            for field in node.body:
                if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
                    continue
                name = field.target.id
                if ast.unparse(field.annotation) in ("int", "float", "int | None", "float | None") and not (
                    name.endswith(UNITS) or name in PLAIN_NUMBERS
                ):
                    guilty.append(f"{name_of(path)}:{field.lineno} {node.name}.{name}")
    assert guilty == []


def test_files_and_functions_are_short() -> None:
    guilty = []
    for path in files():
        count = len(path.read_text().splitlines())
        if count > MAX_FILE_LINES:
            guilty.append(f"{name_of(path)}: {count} lines")
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MAX_FUNCTION_LINES:
                    guilty.append(f"{name_of(path)}: {node.name} has {length} lines")
    assert guilty == []


@pytest.mark.parametrize("mark", BUDGETS)
def test_suppressions_are_exactly_the_budget(mark: str) -> None:
    found = [
        f"{name_of(path)}:{number}"
        for path in files()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(rf"#\s*{re.escape(mark)}", line)
    ]
    assert len(found) == BUDGETS[mark], found


def test_every_suppression_has_its_reason() -> None:
    guilty = [
        f"{name_of(path)}:{number}"
        for path in files()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if (found := re.search(r"#\s*(type: ignore|noqa|pragma: no cover)\S*(.*)", line))
        and len(found[2].strip()) < 5
    ]
    assert guilty == []


def test_every_module_says_what_it_is() -> None:
    silent = [name_of(path) for path in files() if not (ast.get_docstring(tree(path)) or "").strip()]
    assert silent == []


LEAF_FUNCTIONS = {"records", "changes", "reasons", "main"}
"""What a leaf family's leaves and programs are called in; the module's docstring is theirs."""

TRAVELLERS = ("provision/onhost/", "lab/files/")
"""Programs that are sent to other hosts as text; nobody imports from them."""


def test_every_public_function_and_class_says_what_it_does() -> None:
    silent = [
        f"{name_of(path)}:{node.lineno} {node.name}"
        for path in files()
        for node in tree(path).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and node.name[0] != "_"
        and node.name not in LEAF_FUNCTIONS
        and not name_of(path).startswith(TRAVELLERS)
        and not ast.get_docstring(node)
    ]
    assert silent == []


ROOMS = sorted({path.parent for path in HOUSE.glob("*/__init__.py")})


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_every_room_has_its_purpose_its_invariants_and_how_to_add_to_it(room: Path) -> None:
    text = ast.get_docstring(tree(room / "__init__.py")) or ""
    assert re.search(r"^- ", text, re.MULTILINE), "no list of invariants"
    assert re.search(r"\bTo add\b", text), "no 'To add …'"


CITATION = re.compile(r"\bRFCs?[ \u00a0](\d{3,4})")


def citations() -> dict[int, set[str]]:
    """RFC → files that cite it."""
    found: dict[int, set[str]] = {}
    for path in files():
        if path == HOUSE / "rfcs.py":
            continue
        for number in CITATION.findall(path.read_text()):
            found.setdefault(int(number), set()).add(name_of(path))
    return found


def test_every_cited_standard_has_its_row() -> None:
    known = {row.number for row in rfcs.RFCS}
    assert {number: sorted(where) for number, where in citations().items() if number not in known} == {}


def test_every_row_names_rooms_that_exist_and_cite_it() -> None:
    cited = citations()
    guilty = [
        f"RFC {row.number}: {room}"
        for row in rfcs.RFCS
        for room in row.rooms
        if not (HOUSE / room).exists()
        or not any(name == room or name.startswith(f"{room}/") for name in cited.get(row.number, ()))
    ]
    assert guilty == []


def test_every_row_stands_once_and_claims_with_a_room() -> None:
    numbers = [row.number for row in rfcs.RFCS]
    assert len(numbers) == len(set(numbers))
    assert [row.number for row in rfcs.RFCS if row.status in ("full", "partial") and not row.rooms] == []
    assert [row.number for row in rfcs.RFCS if row.status == "partial" and not row.note] == []


def test_every_cited_row_is_cited() -> None:
    cited = citations()
    assert [row.number for row in rfcs.RFCS if row.status == "cited" and row.number not in cited] == []


def test_the_readmes_table_of_standards_is_the_code_s() -> None:
    readme = (ROOT / "README.md").read_text()
    if "<!-- standards -->" not in readme:
        pytest.skip("the README has no table of standards yet")
    between = readme.split("<!-- standards -->")[1].split("<!-- /standards -->")[0]
    assert between.strip() == rfcs.render_table("full", "partial", "absent").strip()


def test_a_test_s_name_is_a_rule() -> None:
    """Two words at least: who, and what of it."""
    guilty = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and node.name.count("_") < 2
    ]
    assert guilty == []
