"""`mailserver try`, as a person on an unprivileged machine meets it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-c", "from mailserver_py.cli import main; main()", "try", "--json"]


@contextmanager
def trying(tmp_path: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [*COMMAND, *options], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=30)


def left_behind(tmp_path: Path) -> list[str]:
    running = subprocess.run(
        ["pgrep", "-fa", str(tmp_path)], capture_output=True, text=True, check=False
    ).stdout
    return [*map(str, tmp_path.glob("mailserver-try-*")), *running.splitlines()]


@pytest.mark.timeout(120)
def test_try_once_verifies_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with trying(tmp_path, "--once", "--port-base", "20000") as process:
        out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err + out
    verdict = json.loads(out)["verification"]
    states = {result["check"]: result["state"] for result in verdict["results"]}
    assert states["stranger"] == states["roundtrip"] == "ok"
    assert left_behind(tmp_path) == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminate"])
def test_a_try_that_is_interrupted_leaves_nothing_behind(tmp_path: Path, number: int) -> None:
    with trying(tmp_path, "--port-base", "21000") as process:
        assert process.stdout is not None
        ports = json.loads(process.stdout.readline())["ports"]
        assert ports["imaps"] == 21993
        process.send_signal(number)
        process.wait(30)
    assert left_behind(tmp_path) == []


def test_a_try_whose_starter_is_killed_ends_too(tmp_path: Path) -> None:
    with trying(tmp_path, "--port-base", "22000") as process:
        assert process.stderr is not None
        process.stderr.readline()
        process.kill()
        process.wait(10)
        end = time.monotonic() + 15
        while left_behind(tmp_path)[1:] and time.monotonic() < end:
            time.sleep(0.1)
    # The folder stays: nobody is left to remove it. The processes do not.
    assert len(left_behind(tmp_path)) == 1


def test_a_taken_port_is_said_with_its_cure(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 23025)), trying(tmp_path, "--port-base", "23000") as process:
        out, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "23025" in out + err
    assert "--port-base" in out + err
    assert left_behind(tmp_path) == []
