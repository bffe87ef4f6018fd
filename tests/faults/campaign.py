"""The machinery of a campaign: forked children, so that a round costs milliseconds, and strace on top of them."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import functools
import os
import pickle
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

READY_LIMIT_S = 20.0
"""Far above what a child needs; a campaign that hangs must say so."""

CLONE_NEWNS = 0x20000
"""unshare(2): a mount namespace of its own."""

WRITING = "write,pwrite64,fsync,fdatasync,rename,renameat2,unlink,mkdir,ftruncate,fallocate"
"""Every system call by which the store changes the disk. The ledger uses `writev`, the loop's wake-up `sendto`."""

Plant = Callable[[], None]
"""Runs in a child before the store is opened, and may break it."""

Run = Callable[[Callable[[], None]], Coroutine[Any, Any, Any]]


def rounds(bounded: int) -> int:
    """How many rounds: the bounded form, or FAULT_ROUNDS."""
    return int(os.environ.get("FAULT_ROUNDS", bounded))


class Child:
    """A forked process that runs a coroutine; what escapes from it lands in the file `errors`.

    The coroutine calls `ready` when the fault may come, and is held there until it is told to go.
    """

    def __init__(self, run: Run, errors: Path, plant: Plant = lambda: None) -> None:
        ready_in, ready_out = os.pipe()
        go_in, go_out = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:

            def ready() -> None:
                os.writev(ready_out, [b"r"])
                os.read(go_in, 1)

            status = 1
            try:
                os.close(ready_in)
                os.close(go_out)
                plant()
                asyncio.run(run(ready))
                status = 0
            except BaseException:
                errors.write_text(traceback.format_exc())
            finally:
                os._exit(status)
        os.close(ready_out)
        os.close(go_in)
        self.ready_in, self.go_out = ready_in, go_out
        self.status: int | None = None

    def wait_ready(self) -> None:
        """Returns when the child waits to go."""
        if os.read(self.ready_in, 1) != b"r":
            raise AssertionError(f"the child ended before it was ready: {self.wait()}")

    def go(self) -> None:
        """Lets the child work."""
        os.write(self.go_out, b"g")

    def kill(self) -> None:
        """Ends it, as a crash would."""
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.wait()

    def wait(self, limit_s: float = READY_LIMIT_S) -> int:
        """Its wait status; killed when it takes too long."""
        deadline_s = time.monotonic() + limit_s
        while self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = status
                os.close(self.ready_in)
                os.close(self.go_out)
            elif time.monotonic() > deadline_s:
                os.kill(self.pid, signal.SIGKILL)
                deadline_s += limit_s
            else:
                time.sleep(0.002)
        return self.status


def forked(run: Callable[[], Any]) -> Any:
    """The result of a function that ran in a forked process. Raises AssertionError with its traceback."""
    answer_in, answer_out = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(answer_in)
        with os.fdopen(answer_out, "wb") as stream:
            try:
                answer: tuple[bool, Any] = (True, run())
            except BaseException:
                answer = (False, traceback.format_exc())
            pickle.dump(answer, stream)
        os._exit(0)
    os.close(answer_out)
    with os.fdopen(answer_in, "rb") as stream:
        data = stream.read()
    os.waitpid(pid, 0)
    succeeded, answer = pickle.loads(data)
    if not succeeded:
        raise AssertionError(answer)
    return answer


def with_own_mounts(test: Callable[..., None]) -> Callable[..., None]:
    """Runs a test in a forked process with mounts of its own.

    Otherwise a container that starts meanwhile keeps a copy of our mount, the cut disk stays alive in it, and mounting
    again brings back the dead one.
    """

    @functools.wraps(test)
    def run(**arguments: Any) -> None:
        def body() -> None:
            if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS):
                raise OSError(ctypes.get_errno(), "cannot have own mounts")
            subprocess.run(["mount", "--make-rprivate", "/"], check=True)
            test(**arguments)
            sys.stdout.flush()

        forked(body)

    return run


def in_child(run: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """The result of a coroutine that ran in a process of its own: this one stays without threads, and may fork."""
    return forked(lambda: asyncio.run(run()))


@contextlib.contextmanager
def traced(child: Child, log: Path, *options: str) -> Iterator[None]:
    """strace on all threads of a child, while the block runs."""
    command = ["strace", "-f", "-p", str(child.pid), "-o", str(log), *options]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    try:
        line = tracer.stderr.readline()
        if "attached" not in line:
            raise AssertionError(f"strace does not attach: {line}")
        yield
    finally:
        child.kill()
        tracer.wait(10)
        tracer.stderr.close()
