"""`python -m benchmarks`: all figures in one table, or as JSON."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console

from . import deploy, hosts, idle, intake, reading
from .figures import Figure, machine, show

Measure = Callable[..., Iterator[Figure]]

BENCHMARKS: dict[str, Measure] = {
    "intake": intake.measure,
    "reading": reading.measure,
    "idle": idle.measure,
    "deploy": deploy.measure,
}


def run(names: Sequence[str], rounds: int, *, fast: bool, alone: bool, console: Console) -> list[Figure]:
    """The figures of the named benchmarks. Each has fresh hosts."""
    figures: list[Figure] = []
    reason = "not asked for" if alone else hosts.why_not_theirs()
    if reason:
        console.print(f"Postfix and Dovecot are not measured: {reason}")
    for name in names:
        console.print(f"{name} …")
        with contextlib.ExitStack() as stack:
            sides: list[hosts.MailHost] = []
            if name != "deploy":
                sides.append(stack.enter_context(hosts.ours()))
                if not reason:
                    sides.append(stack.enter_context(hosts.theirs()))
            figures += BENCHMARKS[name](sides, rounds, fast=fast)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", action="store_true", help="every run as JSON on standard output")
    parser.add_argument("--only", action="append", choices=sorted(BENCHMARKS), help="may be repeated")
    parser.add_argument(
        "--rounds", type=int, default=3, help="runs of each figure; median and best are shown"
    )
    parser.add_argument("--fast", action="store_true", help="less of everything, to try the benchmarks")
    parser.add_argument("--alone", action="store_true", help="without Postfix and Dovecot")
    chosen = parser.parse_args()
    console = Console(file=sys.stderr)
    facts = machine()
    figures = run(
        chosen.only or list(BENCHMARKS), chosen.rounds, fast=chosen.fast, alone=chosen.alone, console=console
    )
    if chosen.json:
        print(json.dumps({"machine": facts, "figures": [figure.as_json() for figure in figures]}, indent=1))
        return
    about = "{cores} cores of {cpu}, {memory_gb} GB, Python {python}, Debian {debian}".format(**facts)
    Console(width=None if sys.stdout.isatty() else 140).print(
        show(figures, f"Median (best) of the runs. {about}")
    )


if __name__ == "__main__":
    main()
