"""The one place where the lab starts programs: run to the end, or left running.

Arguments are always lists, never shell text made of values, so nothing needs quoting. A program that fails is a
`WorldError` with its own words in it; what the operator could have known before is `preconditions`' business.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from mailserver_py.errors import WorldError

# Root's PATH lacks sbin in some shells (su without -), and the kernel's tools live there.
SEARCH_PATH = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Our environment with a complete PATH, in a language whose texts can be read by a program."""
    return {**os.environ, "PATH": SEARCH_PATH, "LC_ALL": "C.UTF-8", **(extra or {})}


def run(
    argv: Sequence[str],
    *,
    stdin: str = "",
    extra: Mapping[str, str] | None = None,
    timeout_s: float = 900,
) -> str:
    """Run a program to its end and return its standard output; `WorldError` when it fails.

    900 s: the longest step, a base image over a slow line, takes minutes; more is a hang.
    """
    try:
        done = attempt(argv, stdin=stdin, extra=extra, timeout_s=timeout_s)
    except subprocess.TimeoutExpired as late:
        raise WorldError(f"no end after {timeout_s:.0f} s: {' '.join(argv)}") from late
    if done.returncode:
        words = (done.stdout + done.stderr).strip()
        raise WorldError(f"exit status {done.returncode}: {' '.join(argv)}\n{words}")
    return done.stdout


def attempt(
    argv: Sequence[str],
    *,
    stdin: str = "",
    extra: Mapping[str, str] | None = None,
    timeout_s: float = 900,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, whatever that is; the caller reads its exit status."""
    return subprocess.run(  # noqa: S603 a list, no shell; the one place that runs programs
        argv,
        input=stdin,
        env=environment(extra),
        text=True,
        errors="replace",
        capture_output=True,
        timeout=timeout_s,
        check=False,
    )


def leave_running(
    argv: Sequence[str],
    *,
    log: Path,
    extra: Mapping[str, str] | None = None,
) -> int:
    """Start a program that outlives us, its output in `log`. Returns its pid."""
    with log.open("ab") as output:
        child = subprocess.Popen(  # noqa: S603 as above
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment(extra),
            start_new_session=True,
        )
    return child.pid


def become(argv: Sequence[str], *, extra: Mapping[str, str] | None = None) -> None:
    """Replace this process by a program; never returns."""
    os.execvpe(argv[0], list(argv), environment(extra))  # noqa: S606 no shell is wanted
