"""Echo servers on loopback, on every event loop there is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from mailserver_py.net.tls import TlsContexts

from .certificates import write_certificate

try:
    import uvloop
except ImportError:  # optional at run time, so optional here
    LOOPS = {"asyncio": asyncio.new_event_loop}
else:
    LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}

Run = Callable[[Coroutine[object, object, None]], None]


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine on each kind of loop; what the loop would only log fails the test."""

    def runner(coroutine: Coroutine[object, object, None]) -> None:
        complaints: list[object] = []
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as loop_runner:
            loop_runner.get_loop().set_exception_handler(lambda _, context: complaints.append(context))
            loop_runner.run(coroutine)
        assert not complaints

    return runner


@pytest.fixture(scope="session")
def tls_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    write_certificate(folder, "mx1.example.org")
    return folder


@pytest.fixture
def tls(tls_folder: Path) -> TlsContexts:
    contexts = TlsContexts(tls_folder, ((), (b"imap",)))
    contexts.reload()
    return contexts
