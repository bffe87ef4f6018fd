"""The last verification of a host, as it left it: read back for `mailserver status`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .shape import Certainty, Finding, Result, Verdict


def parse_verdict(text: str) -> Verdict:
    """A verdict from `render_json`'s text. Raises ValueError on anything else."""
    try:
        data = json.loads(text)
        return Verdict(data["site"], data["at"], tuple(_result(row) for row in data["results"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no verdict: {error!r}") from error


def _result(row: Mapping[str, Any]) -> Result:
    findings = tuple(
        Finding(**{**finding, "certainty": Certainty(finding["certainty"])}) for finding in row["findings"]
    )
    return Result(row["check"], row["title"], row["elapsed_s"], findings, tuple(row["notes"]), row["skipped"])
