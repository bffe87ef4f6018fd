"""The verdict that a host keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailserver_py.verify.kept import FILE, keep, parse_verdict
from mailserver_py.verify.report import render_json

from .test_report import VERDICT


def test_a_kept_verdict_reads_back_as_it_was() -> None:
    kept = parse_verdict(render_json(VERDICT))
    assert render_json(kept) == render_json(VERDICT)
    assert kept.exit_status == VERDICT.exit_status


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"site": 1, "at": 2, "results": [{}]}', "null"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_verdict(text)


def test_a_folder_that_takes_nothing_does_not_keep_the_verdict_from_the_other(tmp_path: Path) -> None:
    (trouble,) = keep(VERDICT, (tmp_path / "gone", tmp_path))
    assert isinstance(trouble, FileNotFoundError)
    assert parse_verdict((tmp_path / FILE).read_text()).exit_status == VERDICT.exit_status
