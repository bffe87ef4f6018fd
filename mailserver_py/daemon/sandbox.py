"""A mail host in a folder: the same daemon, unprivileged, on loopback ports, with throw-away secrets.

For `mailserver try`, tests and benchmarks. The processes are children that get their listening sockets by
file descriptor, as from systemd, and die with their parent; `stop` ends them, and whoever made the folder
removes it.
"""

from __future__ import annotations

import json
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import argon2

from mailserver_py.errors import OperatorError, Reason, WorldError
from mailserver_py.net.server import listen
from mailserver_py.spec.keys.pem import make_ec
from mailserver_py.spec.listeners import open_listeners
from mailserver_py.spec.settings import HostSettings
from mailserver_py.wire.sasl.keys import SALT_BYTES, derive_keys

from .certificate import parse_key, self_signed
from .credentials import SCRAM_PREFIX
from .options import Part

READY_S = 30.0
"""For a process to say that it is ready; a loaded machine needs a few seconds."""

END_S = 10.0
"""For a process to end after SIGTERM; then it is killed."""

LIFE = timedelta(days=30)
"""Of the certificate."""

FAST_HASH = argon2.PasswordHasher(time_cost=1, memory_cost=8_192, parallelism=1)
"""For passwords that are as strong as keys and live for minutes."""

FAST_ITERATION_COUNT = 4_096
"""The least that clients take (RFC 7677 §4)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a host is made from."""

    settings: HostSettings
    passwords: Mapping[str, str] = field(repr=False)
    """By account, in the clear."""
    dkim_keys: Mapping[tuple[str, str], bytes] = field(repr=False)
    """PEM by (selector, domain)."""
    address: str = "127.0.0.1"
    port_base: int = 0
    """Listeners get the standard port plus this; 0: any free ports."""
    parts: Sequence[Part] = (Part.WORKER, Part.WORKER, Part.QUEUE)


class Sandbox:
    """One host. `open` takes the ports and writes the files, `start` runs it, `stop` ends it."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder = folder
        self.plan = plan
        self.ports: dict[str, int] = {}
        """By the listener's name."""
        self.log_file = folder / "log.jsonl"
        self.ca_file = folder / "tls" / plan.settings.hostname / "current" / "fullchain.pem"
        self.processes: list[subprocess.Popen[bytes]] = []
        self._sockets: dict[str, socket.socket] = {}

    def open(self) -> None:
        """Binds the sockets and writes settings, credentials and certificate. Raises OperatorError."""
        plan = self.plan
        for listener in open_listeners(plan.settings.listeners):
            port = plan.port_base + listener.port if plan.port_base else 0
            try:
                sock = listen(plan.address, port)
            except OSError as error:
                self._close_sockets()
                text = f"port {port} on {plan.address} cannot be used: {error.strerror}"
                raise OperatorError(Reason(text, "choose another --port-base")) from error
            self._sockets[listener.name] = sock
            self.ports[listener.name] = sock.getsockname()[1]
        self._write_files()

    def write_rehearsal(
        self, answers: Mapping[tuple[str, str], Sequence[str]], ports: Mapping[str, Mapping[int, int]]
    ) -> None:
        """The DNS and the detours of this host's world, before it starts."""
        value = {
            "answers": [[name, rdtype, list(texts)] for (name, rdtype), texts in answers.items()],
            "ports": {
                address: {str(meant): there for meant, there in m.items()} for address, m in ports.items()
            },
        }
        self._write("rehearsal.json", json.dumps(value).encode())

    def start(self) -> None:
        """Starts the processes and waits until all are ready. Raises WorldError, with the end of the log."""
        # An abstract name: no file to remove, and no limit on how deep the folder may lie (unix(7)).
        name = f"mailserver-{os.getpid()}-{secrets.token_hex(8)}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(f"\0{name}")
            for part in self.plan.parts:
                self.processes.append(self._start(part, f"@{name}"))
            end = time.monotonic() + READY_S
            waiting = len(self.processes)
            while waiting:
                if select.select([manager], [], [], 0.1)[0]:
                    waiting -= manager.recv(500).startswith(b"READY=1")
                dead = [process for process in self.processes if process.poll() is not None]
                if dead or time.monotonic() > end:
                    self.stop()
                    what = "ended at once" if dead else "does not get ready"
                    raise WorldError(f"the server {what}; its last words:\n{self.last_words()}")

    def stop(self) -> int:
        """Ends the processes, by force if need be; the worst exit status. Harmless when called twice."""
        self._close_sockets()
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        end = time.monotonic() + END_S
        status = 0
        for process in self.processes:
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            status = max(status, abs(process.returncode))
        self.processes.clear()
        return status

    def last_words(self) -> str:
        """The end of what the processes wrote."""
        try:
            lines = self.log_file.read_text("utf-8", "replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-20:])

    def _start(self, part: Part, ready: str) -> subprocess.Popen[bytes]:
        folder = self.folder
        command = [sys.executable, "-c", "from mailserver_py.cli import main; main()", "serve"]
        command += ["--role", part.value, "--settings", str(folder / "settings.json")]
        command += ["--state", str(folder / "state"), "--credentials", str(folder / "credentials")]
        command += ["--tls", str(folder / "tls"), "--runtime", str(folder / "run")]
        if (folder / "rehearsal.json").exists():
            command += ["--rehearsal", str(folder / "rehearsal.json")]
        fds = {name: sock.fileno() for name, sock in self._sockets.items()} if part is not Part.QUEUE else {}
        for name, fd in fds.items():
            command += ["--socket", f"{name}={fd}"]
        with_parent = shutil.which("setpriv")
        if with_parent:
            command = [with_parent, "--pdeathsig", "TERM", *command]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("LISTEN_")}
        environment["NOTIFY_SOCKET"] = ready
        with self.log_file.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - a list of our own words, no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=tuple(fds.values()),
                env=environment,
            )

    def _write_files(self) -> None:
        settings = self.plan.settings
        for name in ("state", "run", "credentials"):
            (self.folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._write("settings.json", settings.model_dump_json().encode())
        secret: dict[str, str] = {}
        for account, password in self.plan.passwords.items():
            secret[account] = FAST_HASH.hash(password)
            keys = derive_keys(password, secrets.token_bytes(SALT_BYTES), FAST_ITERATION_COUNT)
            secret[SCRAM_PREFIX + account] = keys.serialize()
        self._write("credentials/passwords", json.dumps(secret).encode())
        for (selector, domain), pem in self.plan.dkim_keys.items():
            self._write(f"credentials/dkim.{selector}.{domain}", pem)
        if not self.ca_file.exists():
            self.ca_file.parent.mkdir(mode=0o700, parents=True)
            key = make_ec()
            self._write(str(self.ca_file.with_name("key.pem").relative_to(self.folder)), key)
            chain = self_signed(settings.hostname, parse_key(key), datetime.now(UTC), LIFE)
            self._write(str(self.ca_file.relative_to(self.folder)), chain)

    def _write(self, name: str, data: bytes) -> None:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_bytes(data)

    def _close_sockets(self) -> None:
        for sock in self._sockets.values():
            sock.close()
        self._sockets.clear()
