"""The last verification of a host, as it left it: read back for `mailserver status`.

It lies in memory, where a full disk cannot keep it from being written, and on the disk, where it outlives a boot.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .report import render_json
from .shape import Certainty, Finding, Result, Verdict

FILE = "last.json"

RUNTIME_FOLDER = Path("/run/mailserver-verify")
STATE_FOLDER = Path("/var/lib/mailserver/verify")


def keep(verdict: Verdict, folders: Sequence[Path] = (RUNTIME_FOLDER, STATE_FOLDER)) -> list[OSError]:
    """Leaves the verdict in each folder, whole or not at all. Returns why it could not in some."""
    troubles = []
    for folder in folders:
        new = folder / f"{FILE}.new"
        try:
            new.write_text(render_json(verdict), encoding="utf-8")
            new.replace(folder / FILE)
        except OSError as error:
            troubles.append(error)
    return troubles


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
