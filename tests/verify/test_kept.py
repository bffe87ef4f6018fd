"""The verdict that a host keeps."""

from __future__ import annotations

import pytest

from mailserver_py.verify.kept import parse_verdict
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
