"""A process of the daemon, from its first line to its last: event loop, sockets, exit."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from mailserver_py.net.systemd import Notifier

from .app import App
from .options import Options

GC_THRESHOLD_COUNT = 50_000
"""Allocations between collections of the youngest: a server of many small sessions makes little cyclic
garbage, and the default of 700 costs a twentieth of its time.
"""


def run_process(options: Options, sockets: Mapping[str, Sequence[socket.socket]]) -> None:
    """Runs to the end of the process's work. Raises OperatorError, WorldError."""
    gc.set_threshold(GC_THRESHOLD_COUNT, 20, 20)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_main(options, sockets))


async def _main(options: Options, sockets: Mapping[str, Sequence[socket.socket]]) -> None:
    app = App(options, sockets, Notifier())
    gc.freeze()  # what lives as long as the process need not be looked at again
    await app.run()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop's where it is installed."""
    try:
        factory: Callable[[], asyncio.AbstractEventLoop] = import_module("uvloop").new_event_loop
    except ImportError:
        return asyncio.new_event_loop
    return factory
