"""`mailserver store check`, as an operator runs it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mailserver_py.cli.store import command
from mailserver_py.errors import OperatorError

from .site import Site
from .test_embedded import execute, open_embedded


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with a few letters."""

    async def main() -> None:
        site = Site(tmp_path, open_embedded)
        await site.append(await site.account(), count=3)
        await site.store.close()

    asyncio.run(main())
    return tmp_path


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    """Exit status and output."""
    result = CliRunner().invoke(command, ["check", "--state", str(folder / "store"), *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def test_a_sound_store_is_called_sound(folder: Path) -> None:
    status, output = run(folder)
    assert status == 0
    assert "is sound" in output


def test_findings_are_named_then_repaired(folder: Path) -> None:
    place = "accounts/alice@lab.test/index.db"
    connection_site = Site(folder, open_embedded)
    execute(connection_site, place, "UPDATE mailboxes SET message_count = 9 WHERE name = 'INBOX'")
    asyncio.run(connection_site.store.close())
    status, output = run(folder, "--json")
    assert status == 1
    (finding,) = json.loads(output)["findings"]
    assert "INBOX" in finding
    assert run(folder, "--repair")[0] == 1
    assert run(folder)[0] == 0


def test_a_folder_without_a_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="no store"):
        run(tmp_path)
    assert list(tmp_path.iterdir()) == []
