"""The command line: exit statuses, where the text goes, and what each command says."""

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from mailserver_py import cli
from mailserver_py.cli.menu import MENU, Row
from mailserver_py.errors import WorldError
from mailserver_py.spec.model import MailSpec
from tests.cli.run import run
from tests.spec.sites import SMALLEST, write_site

Capsys = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MAILSERVER_IDENTITY", raising=False)


def test_help_names_every_command_and_imports_no_room(capsys: Capsys) -> None:
    ran = run(capsys, "--help")
    assert all(row.name in ran.out for row in MENU)
    code = (
        "import sys; from mailserver_py.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print([n for n in sys.modules if n.startswith('mailserver_py.') and '.cli' not in n])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "['mailserver_py.errors']"


def test_an_unknown_command_names_the_nearest(capsys: Capsys) -> None:
    ran = run(capsys, "chekc")
    assert (ran.status, "mailserver check" in ran.err) == (2, True)


def test_a_sound_spec_is_summed_up(tmp_path: Path, capsys: Capsys) -> None:
    site = write_site(tmp_path / "site")
    ran = run(capsys, "check", str(site.folder))
    assert (ran.status, ran.err) == (0, "")
    assert "alice@example.org" in ran.out


def test_a_wrong_spec_is_status_2_with_lines_on_stderr(tmp_path: Path, capsys: Capsys) -> None:
    site = write_site(tmp_path / "site")
    site.file.write_text(SMALLEST + "limts: {}\nquotas: {}\n")
    ran = run(capsys, "check", str(site.folder))
    assert (ran.status, ran.out) == (2, "")
    assert f"{site.file}:8: `limts` is no key" in ran.err
    assert "did you mean `limits`?" in ran.err
    assert "2 things to mend" in ran.err


def test_wrong_specs_are_json_when_asked(tmp_path: Path, capsys: Capsys) -> None:
    site = write_site(tmp_path / "site")
    site.file.write_text(SMALLEST + "limts: {}\n")
    ran = run(capsys, "check", str(site.folder), "--json")
    assert ran.status == 2
    assert json.loads(ran.out)["reasons"][0]["line"] == 8


def test_check_changes_nothing(tmp_path: Path, capsys: Capsys) -> None:
    site = write_site(tmp_path / "site")
    before = [(path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")]
    run(capsys, "check", str(site.folder))
    assert [(path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")] == before


def test_the_schema_explains_every_field(capsys: Capsys) -> None:
    schema = json.loads(run(capsys, "schema").out)
    models = [schema, *schema["$defs"].values()]
    silent = [
        (model["title"], name)
        for model in models
        for name, field in model.get("properties", {}).items()
        # pydantic leaves the words out where the model that is meant says the same.
        if "description" not in field and "description" not in schema["$defs"][field["$ref"].split("/")[-1]]
    ]
    assert silent == []
    assert all("description" in model for model in models)
    assert schema["properties"].keys() == MailSpec.model_fields.keys()


def test_the_schema_lets_empty_values_stand_for_defaults(capsys: Capsys) -> None:
    models = json.loads(run(capsys, "schema").out)["$defs"]
    assert models["Domain"]["type"] == models["Account"]["type"] == ["object", "null"]
    assert models["Stranger"]["type"] == "object"


def test_keys_zone_and_passwords_from_an_empty_folder(tmp_path: Path, capsys: Capsys) -> None:
    site = write_site(tmp_path / "site", SMALLEST + "tls: {source: self-signed}\n")
    folder = str(site.folder)
    made = run(capsys, "keys", folder, "--write-recipients")
    assert made.status == 0
    assert (tmp_path / "home/.config/mailserver/identity.txt").exists()
    assert "age1" in site.file.read_text()
    assert "nothing to do" in run(capsys, "keys", folder).out
    password = run(capsys, "keys", folder, "--show", "password.alice@example.org").out.strip()
    assert len(password) == 24
    assert password not in made.out + made.err
    assert run(capsys, "keys", folder, "--show", "password.bob@example.org").status == 2
    zone = run(capsys, "zone", folder, "--format", "zonefile")
    assert "r1._domainkey.example.org." in zone.out
    assert json.loads(run(capsys, "zone", folder, "--json").out)[0]["name"] == "mx1.example.org"
    assert run(capsys, "zone", folder).out.splitlines()[0] == "name\ttype\tvalue\twhy"


def test_a_secret_is_imported_from_a_file_never_from_an_argument(tmp_path: Path, capsys: Capsys) -> None:
    site = write_site(tmp_path / "site", SMALLEST + "tls: {source: self-signed}\n")
    (tmp_path / "given").write_text("chosen by alice\n")
    name = "password.alice@example.org"
    assert run(capsys, "keys", str(site.folder), "--import", name, str(tmp_path / "given")).status == 0
    assert run(capsys, "keys", str(site.folder), "--show", name).out == "chosen by alice\n"
    assert run(capsys, "keys", str(site.folder), "--import", name, "chosen by alice").status == 2


def test_missing_keys_are_listed_with_the_next_step(tmp_path: Path, capsys: Capsys) -> None:
    site = write_site(tmp_path / "site")
    listed = run(capsys, "keys", str(site.folder), "--list")
    assert "run `mailserver keys site`" in listed.out
    assert not site.secrets_folder.exists()


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (WorldError("no answer"), 75, "no answer"),
        (RuntimeError("a bug"), 70, "incident"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_each_family_of_errors_has_its_exit_status(
    error: BaseException, status: int, words: str, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    @click.command()
    def command() -> None:
        raise error

    monkeypatch.setattr(cli, "_load", lambda row: command)
    ran = run(capsys, "check")
    assert (ran.status, words in ran.err) == (status, True)


def test_a_command_whose_parts_are_missing_says_so(monkeypatch: pytest.MonkeyPatch, capsys: Capsys) -> None:
    def missing(path: str) -> object:
        raise ModuleNotFoundError("No module named 'ruamel'", name="ruamel")

    monkeypatch.setattr(cli, "import_module", missing)
    ran = run(capsys, "check", "x")
    assert (ran.status, "'ruamel'" in ran.err) == (2, True)


@pytest.mark.parametrize("row", MENU, ids=lambda row: row.name)
def test_every_row_of_the_menu_is_a_command(row: Row) -> None:
    assert isinstance(cli._load(row), click.Command)
