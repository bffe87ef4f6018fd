from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from mailserver_py.verify.checks import host

from .fakes import world


def _codes(state: Path, runtime: Path) -> list[str]:
    outcome = asyncio.run(host.run(world(state_dir=state, runtime_dir=runtime)))
    return [finding.code for finding in outcome.findings if finding.code != "host.disk-full"]


def test_a_queue_that_listens_is_well(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "queue.1.a.bus"))
        assert _codes(tmp_path, tmp_path) == []


def test_a_queue_that_died_is_named_though_its_socket_lies_there(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "queue.1.a.bus"))
    assert _codes(tmp_path, tmp_path) == ["host.queue-stopped"]


def test_a_worker_is_no_queue(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "worker.1.a.bus"))
        assert _codes(tmp_path, tmp_path) == ["host.queue-stopped"]
