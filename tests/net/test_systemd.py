"""Sockets from, and words to, the service manager."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mailserver_py.net.systemd import Notifier, take_sockets

CHILD = """
import os, sys
os.environ["LISTEN_PID"] = str(os.getpid())
from mailserver_py.net.systemd import take_sockets
for name, sockets in take_sockets().items():
    print(name, *(sock.getsockname()[1] for sock in sockets), *(sock.get_inheritable() for sock in sockets))
"""


def test_sockets_are_taken_by_name() -> None:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    ports = [sock.getsockname()[1] for sock in listeners]
    one, two, three = (sock.fileno() for sock in listeners)
    command = f"exec 3<&{one} 4<&{two} 5<&{three}; exec {sys.executable} -c '{CHILD}'"
    seen = subprocess.run(
        ["/bin/bash", "-c", command],
        env={**os.environ, "LISTEN_FDS": "3", "LISTEN_FDNAMES": "smtp:imaps:smtp"},
        pass_fds=[sock.fileno() for sock in listeners],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for sock in listeners:
        sock.close()
    assert seen == f"smtp {ports[0]} {ports[2]} False False\nimaps {ports[1]} False\n"


@pytest.mark.parametrize(
    "environ",
    [{}, {"LISTEN_FDS": "1"}, {"LISTEN_FDS": "1", "LISTEN_PID": "1"}, {"LISTEN_FDS": "x", "LISTEN_PID": "y"}],
    ids=["none", "no pid", "another's", "garbage"],
)
def test_sockets_of_others_are_left_alone(environ: dict[str, str]) -> None:
    assert take_sockets(environ) == {}


def test_states_are_told(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        notifier = Notifier({"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "10000000"})
        notifier.ready("here")
        notifier.alive()
        notifier.stopping("bye")
        assert [manager.recv(100) for _ in range(3)] == [
            b"READY=1\nSTATUS=here",
            b"WATCHDOG=1",
            b"STOPPING=1\nSTATUS=bye",
        ]
        assert notifier.watchdog_s == 5.0


def test_without_a_manager_nothing_is_told() -> None:
    notifier = Notifier({})
    notifier.ready("here")
    assert notifier.watchdog_s == 0
    assert Notifier({"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_PID": "1", "WATCHDOG_USEC": "5"}).watchdog_s == 0
