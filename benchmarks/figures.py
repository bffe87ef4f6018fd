"""What a benchmark yields, and the one table in which all of them are printed."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table

LARGE = 100
"""From here on digits behind the point are noise."""


@dataclass(slots=True)
class Figure:
    """One quantity, measured a few times on each side."""

    name: str
    unit: str
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    higher_is_better: bool = True
    note: str = ""

    def best(self, values: Sequence[float]) -> float:
        """The run that was disturbed least."""
        return max(values) if self.higher_is_better else min(values)

    @property
    def ratio(self) -> float | None:
        """How many times as good as theirs we are, by the medians; below 1 we are worse."""
        if not self.ours or not self.theirs:
            return None
        ours, theirs = statistics.median(self.ours), statistics.median(self.theirs)
        if not ours or not theirs:
            return None
        return ours / theirs if self.higher_is_better else theirs / ours

    def as_json(self) -> dict[str, object]:
        """Every run, in the order they were made."""
        return {
            "name": self.name,
            "unit": self.unit,
            "ours": [round(value, 3) for value in self.ours],
            "theirs": [round(value, 3) for value in self.theirs],
            "ratio": None if self.ratio is None else round(self.ratio, 2),
            "note": self.note,
        }


def machine() -> dict[str, object]:
    """What the figures depend on."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory_kb = int(Path("/proc/meminfo").read_text().split()[1])
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory_kb / 1024**2),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "debian": Path("/etc/debian_version").read_text().strip()
        if Path("/etc/debian_version").exists()
        else "",
        "load_before": os.getloadavg()[0],
    }


def show(figures: Sequence[Figure], title: str) -> Table:
    """The table: median of the runs, the best of them in brackets."""
    table = Table(title=title, title_justify="left")
    table.add_column("figure")
    for name in ("ours", "theirs", "ratio"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("unit")
    table.add_column("note")
    for figure in figures:
        ratio = "" if figure.ratio is None else f"{figure.ratio:.1f}"
        table.add_row(
            figure.name,
            spell(figure, figure.ours),
            spell(figure, figure.theirs),
            ratio,
            figure.unit,
            figure.note,
        )
    return table


def spell(figure: Figure, values: Sequence[float]) -> str:
    """One side's cell."""
    if not values:
        return "–"
    median = number(statistics.median(values))
    return median if len(values) == 1 else f"{median} ({number(figure.best(values))})"


def number(value: float) -> str:
    """Three or more digits that mean something."""
    return f"{value:,.0f}" if value >= LARGE else f"{value:,.3g}"
