"""The bus between processes; here all ends are in one."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

import pytest

from mailserver_py.errors import WorldError
from mailserver_py.net.bus import Bus

from .conftest import Run


class Ear:
    def __init__(self) -> None:
        self.heard: list[tuple[str, int]] = []

    def __call__(self, account: str, mailbox_id: int) -> None:
        self.heard.append((account, mailbox_id))

    async def hears(self, count: int, timeout_s: float = 1.0) -> None:
        async with asyncio.timeout(timeout_s):
            while len(self.heard) < count:
                await asyncio.sleep(0.001)


def test_all_others_hear_and_the_teller_does_not(run: Run, tmp_path: Path) -> None:
    async def case() -> None:
        ears = [Ear(), Ear(), Ear()]
        buses = [Bus(tmp_path, str(n), ear) for n, ear in enumerate(ears)]
        started = time.monotonic()
        buses[0].tell("grüße@example.org", 7)
        await ears[1].hears(1)
        await ears[2].hears(1)
        assert time.monotonic() - started < 0.1
        assert ears[1].heard == ears[2].heard == [("grüße@example.org", 7)]
        assert ears[0].heard == []
        for bus in buses:
            bus.close()
        assert list(tmp_path.iterdir()) == []

    run(case())


def test_a_process_that_comes_later_is_told_too(run: Run, tmp_path: Path) -> None:
    async def case() -> None:
        first = Bus(tmp_path, "first", Ear())
        for n in range(5):
            first.tell("a", n)
            await asyncio.sleep(0)
            ear = Ear()
            late = Bus(tmp_path, f"late{n}", ear)
            first.tell("b", n)
            await ear.hears(1)
            late.close()
        first.close()

    run(case())


def test_changes_of_one_turn_are_merged(run: Run, tmp_path: Path) -> None:
    async def case() -> None:
        ear = Ear()
        teller, hearer = Bus(tmp_path, "t", Ear()), Bus(tmp_path, "h", ear)
        for _ in range(1000):
            teller.tell("a", 1)
        await ear.hears(1)
        await asyncio.sleep(0.05)
        assert ear.heard == [("a", 1)]
        teller.close()
        hearer.close()

    run(case())


def test_nothing_is_lost_to_a_reader_that_is_late(run: Run, tmp_path: Path) -> None:
    async def case() -> None:
        ear = Ear()
        teller, hearer = Bus(tmp_path, "t", Ear()), Bus(tmp_path, "h", ear)
        loop = asyncio.get_running_loop()
        loop.remove_reader(hearer._socket.fileno())
        for n in range(2000):
            teller.tell("a" * 100, n)
            await asyncio.sleep(0)
        loop.add_reader(hearer._socket.fileno(), hearer._receive)
        await ear.hears(2000)
        assert {mailbox_id for _, mailbox_id in ear.heard} == set(range(2000))
        teller.close()
        hearer.close()

    run(case())


def test_the_name_of_a_dead_process_is_cleared_away(run: Run, tmp_path: Path) -> None:
    async def case() -> None:
        dead = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        dead.bind(str(tmp_path / "dead.bus"))
        dead.close()
        bus = Bus(tmp_path, "t", Ear())
        bus.tell("a", 1)
        await asyncio.sleep(0.02)
        assert not (tmp_path / "dead.bus").exists()
        bus.close()

    run(case())


def test_a_deep_folder_is_no_hindrance(run: Run, tmp_path: Path) -> None:
    async def case() -> None:
        deep = tmp_path / ("d" * 100) / ("e" * 100)
        deep.mkdir(parents=True)
        ear = Ear()
        teller, hearer = Bus(deep, "t", Ear()), Bus(deep, "h", ear)
        teller.tell("a", 1)
        await ear.hears(1)
        teller.close()
        hearer.close()

    run(case())


def test_garbage_is_dropped(run: Run, tmp_path: Path) -> None:
    async def case() -> None:
        ear = Ear()
        bus = Bus(tmp_path, "h", ear)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
            stranger.connect(str(tmp_path / "h.bus"))
            for garbage in (
                b"",
                b"\0" * 99,
                b"a\0-1",
                b"a\x001e9",
                b"\xff\xfe",
                b"x" * 50_000,
                b"a\0" + b"9" * 99,
            ):
                stranger.send(garbage)
                await asyncio.sleep(0)
            stranger.send(b"\xff\x003\nb\x004")
        await ear.hears(2)
        assert ear.heard == [("\ufffd", 3), ("b", 4)]
        bus.close()

    run(case())


def test_a_folder_that_is_not_there_is_the_worlds_error(run: Run, tmp_path: Path) -> None:
    async def case() -> None:
        with pytest.raises(WorldError):
            Bus(tmp_path / "none", "x", Ear())

    run(case())


def test_the_dead_and_the_unknown_are_gone_and_whoever_listens_is_not(run: Run, tmp_path: Path) -> None:
    async def case() -> None:
        bus, other = Bus(tmp_path, "own", Ear()), Bus(tmp_path, "other", Ear())
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dying:
            dying.bind(str(tmp_path / "dead.bus"))
        assert bus.gone(["own", "other", "dead", "unknown"]) == ("dead", "unknown")
        other.close()
        assert bus.gone(["other"]) == ("other",)
        bus.close()

    run(case())


def test_nobody_is_gone_where_not_even_the_own_name_is_found(run: Run, tmp_path: Path) -> None:
    async def case() -> None:
        bus = Bus(tmp_path, "own", Ear())
        (tmp_path / "own.bus").unlink()
        assert bus.gone(["other"]) == ()
        bus.close()

    run(case())
